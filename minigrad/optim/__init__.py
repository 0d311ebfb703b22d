"""Optimizers, and schedules of their learning rate (`lr_scheduler`)."""

from . import lr_scheduler as lr_scheduler
from . import swa_utils as swa_utils
from .adagrad import Adadelta as Adadelta
from .adagrad import Adagrad as Adagrad
from .adam import Adam as Adam
from .adam import AdamW as AdamW
from .elementwise import ASGD as ASGD
from .elementwise import Adamax as Adamax
from .elementwise import NAdam as NAdam
from .elementwise import RAdam as RAdam
from .elementwise import Rprop as Rprop
from .lbfgs import LBFGS as LBFGS
from .optimizer import Optimizer as Optimizer
from .rmsprop import RMSprop as RMSprop
from .sgd import SGD as SGD
