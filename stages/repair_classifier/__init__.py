"""Stage repair_classifier: does training on what was found help, against controls of equal budget?"""
