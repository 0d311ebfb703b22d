"""Datasets of images in the folders and formats that torchvision uses."""

from .base import VisionDataset as VisionDataset
from .cifar import CIFAR10 as CIFAR10
from .cifar import CIFAR100 as CIFAR100
from .fake import FakeData as FakeData
from .folder import IMG_EXTENSIONS as IMG_EXTENSIONS
from .folder import DatasetFolder as DatasetFolder
from .folder import ImageFolder as ImageFolder
from .mnist import KMNIST as KMNIST
from .mnist import MNIST as MNIST
from .mnist import FashionMNIST as FashionMNIST
