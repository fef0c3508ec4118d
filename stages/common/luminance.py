"""How bright a colour is."""

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue in grey, as image libraries take it (ITU-R BT.601)
