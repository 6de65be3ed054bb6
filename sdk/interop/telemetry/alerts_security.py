SCENES = {}
SLOW = []
