"""Records what a person types and sees in a terminal, and draws it as one animated SVG.

terminal   runs commands in a pseudo-terminal and takes a frame each time that the screen changes
drawing    draws frames as an SVG that moves by itself, and stands still for people who ask for less motion
minute     the newcomer's first minute: the two commands of the README, in a fresh clone
"""
