"""Builds the documentation site from the pages of the checkout.

assemble   copies every page into one folder, and points links between pages there
"""
