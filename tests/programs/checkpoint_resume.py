import os
import random
import shutil
import tempfile

import numpy as np
import torch
import torch.nn as nn
from common import digits, fill


def seed_everything(seed):
    random.seed(seed)
    os.environ["PYTHONHASHSEED"] = str(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


seed_everything(42)
images, labels = map(torch.from_numpy, digits(192))
batches = [(images[i : i + 32].flatten(1), labels[i : i + 32]) for i in range(0, 192, 32)]


def make():
    model = fill(nn.Sequential(nn.Linear(64, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 10)))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, amsgrad=True)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=6)
    return model, optimizer, scheduler


def train(model, optimizer, scheduler, epochs, start=0):
    for epoch in range(start, epochs):
        total = 0.0
        for x, y in batches:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
        scheduler.step()
        print(f"epoch {epoch} loss {total / len(batches):.6f} lr {scheduler.get_last_lr()[0]:.6f}")
    return model


def save_checkpoint(state, is_best, filename):
    torch.save(state, filename)
    if is_best:
        shutil.copyfile(filename, filename.replace("checkpoint", "model_best"))


whole = train(*make(), epochs=6)
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "checkpoint.pth.tar")
    model, optimizer, scheduler = make()
    train(model, optimizer, scheduler, epochs=3)
    state = {
        "epoch": 3,
        "arch": "mlp",
        "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "best_acc1": torch.tensor(0.5),
        "history": [1, 2.5, None, (True, "x")],
    }
    save_checkpoint(state, True, path)
    print(sorted(os.listdir(folder)))
    model, optimizer, scheduler = make()
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(checkpoint["state_dict"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    scheduler.load_state_dict(checkpoint["scheduler"])
    print(checkpoint["arch"], checkpoint["history"], checkpoint["best_acc1"].item())
    resumed = train(model, optimizer, scheduler, epochs=6, start=checkpoint["epoch"])
    print(all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values())))
    wrong = nn.Sequential(nn.Linear(64, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 11))
    try:
        wrong.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        print("size mismatch for 3.weight" in str(error))
