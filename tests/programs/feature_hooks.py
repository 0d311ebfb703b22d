import torch
import torch.nn as nn
import torch.nn.functional as F
from common import digits, fill

model = fill(nn.Sequential())
model = nn.Sequential()
model.add_module("conv1", nn.Conv2d(1, 4, 3))
model.add_module("act1", nn.Softplus())
model.add_module("conv2", nn.Conv2d(4, 8, 3))
model.add_module("act2", nn.Tanh())
model.add_module("pool", nn.AdaptiveAvgPool2d(1))
model.add_module("flatten", nn.Flatten())
model.add_module("fc", nn.Linear(8, 10))
fill(model)
images, labels = map(torch.from_numpy, digits(32))

features, gradients, calls = {}, {}, []


def save_features(name):
    def hook(module, args, output):
        features[name] = output.detach()

    return hook


def save_gradients(name):
    def hook(module, grad_input, grad_output):
        gradients[name] = grad_output[0]

    return hook


handles = [module.register_forward_hook(save_features(name)) for name, module in model.named_children() if "act" in name]
handles += [model.conv2.register_full_backward_hook(save_gradients("conv2"))]
handles += [model.fc.register_forward_pre_hook(lambda module, args: calls.append(tuple(args[0].shape)))]
loss = F.cross_entropy(model(images), labels)
loss.backward()
for name, value in features.items():
    print(name, tuple(value.shape), value.mean().item(), value.std().item())
print({name: tuple(value.shape) for name, value in gradients.items()}, gradients["conv2"].norm().item(), calls)

# Grad-CAM
weights = gradients["conv2"].mean(dim=(2, 3), keepdim=True)
cam = F.relu((weights * features["act2"]).sum(1, keepdim=True))
cam = F.interpolate(cam, size=(8, 8), mode="bilinear", align_corners=False)
cam = (cam - cam.amin((2, 3), keepdim=True)) / (cam.amax((2, 3), keepdim=True) + 1e-8)
print(tuple(cam.shape), cam.mean().item())

for handle in handles:
    handle.remove()
features.clear()
model(images)
print(features, len(calls))

# Hooks on tensors: gradients scaled on their way
x = images.clone().requires_grad_()
seen = []
handle = x.register_hook(lambda grad: seen.append(grad.norm().item()))
hidden = model.conv1(x)
hidden.retain_grad()
hidden.register_hook(lambda grad: grad * 0.5)
F.cross_entropy(model[1:](hidden), labels).backward()
print(seen[0], x.grad.norm().item(), hidden.grad.norm().item())
saliency, _ = x.grad.abs().max(dim=1)
print(saliency.sum().item())
