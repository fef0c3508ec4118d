"""A verdict on every claimed failure: is the classifier wrong, has the label changed, or can nobody tell?"""
