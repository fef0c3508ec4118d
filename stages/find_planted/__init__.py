"""Stage find_planted: is a blind spot found that was planted?  How large must it be?"""
