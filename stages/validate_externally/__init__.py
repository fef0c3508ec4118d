"""Does what is measured on generated images predict accuracy on real ones, over many classifiers?"""
