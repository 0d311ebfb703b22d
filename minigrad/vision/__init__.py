"""Images: transforms over Pillow and tensors, datasets, models and grids of images, by torchvision's names.

Pillow is an extra (`pip install minigrad[vision]`), loaded when the first image is read or written.
"""

from . import datasets as datasets
from . import models as models
from . import transforms as transforms
from . import utils as utils
