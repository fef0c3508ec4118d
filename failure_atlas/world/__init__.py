"""The central act: style vectors become images, networks say what they see, and how that changes with the styles."""
