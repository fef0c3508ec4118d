"""A verdict on every claimed failure: is the classifier wrong or still right, has the label changed, who can tell?"""
