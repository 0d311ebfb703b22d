"""minigrad.vision: transforms, datasets, models and grids, against torchvision where it is installed and closed forms everywhere."""

import gzip
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import vision
from minigrad.vision import datasets, models, transforms, utils
from minigrad.vision.datasets.download import download
from minigrad.vision.transforms import InterpolationMode
from minigrad.vision.transforms import functional as F

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed: minigrad.vision not checked")


@pytest.fixture(scope="module")
def torchvision(torch):
    """The oracle; tests that need it are skipped where it is not installed."""
    try:
        import torchvision
        import torchvision.transforms.functional
    except (ImportError, RuntimeError) as error:  # RuntimeError: built for another torch
        pytest.skip(f"torchvision is not installed: parity not checked ({error})")
    return torchvision


@pytest.fixture
def pixels(rng):
    return rng.integers(0, 256, (12, 17, 3), dtype=np.uint8)


def array(image):
    return np.asarray(image.numpy() if hasattr(image, "numpy") else image)


# Transforms, against closed forms


def test_images_become_tensors_and_tensors_images(pixels):
    tensor = transforms.ToTensor()(Image.fromarray(pixels))
    assert tensor.dtype is mg.float32
    assert np.array_equal(tensor.numpy(), pixels.transpose(2, 0, 1).astype(np.float32) / 255)
    assert np.array_equal(transforms.ToTensor()(pixels).numpy(), tensor.numpy())
    assert np.array_equal(transforms.PILToTensor()(Image.fromarray(pixels)).numpy(), pixels.transpose(2, 0, 1))
    assert np.array_equal(np.asarray(transforms.ToPILImage()(tensor)), pixels)
    gray = Image.fromarray(pixels[:, :, 0])
    assert transforms.ToTensor()(gray).shape == (1, 12, 17)
    assert transforms.ToPILImage()(mg.zeros(3, 4)).mode == "L"
    assert transforms.ToTensor()(Image.fromarray(pixels[:, :, 0] > 100)).max().item() == 1.0
    assert transforms.ToTensor()(np.ones((3, 4))).dtype is mg.float64, "floats are not scaled"
    for mode, dtype in (("I", mg.int32), ("F", mg.float32)):
        assert transforms.ToTensor()(gray.convert(mode)).dtype is dtype
    with pytest.raises(TypeError, match="PIL Image or ndarray"):
        transforms.ToTensor()(3)
    with pytest.raises(ValueError, match="2/3 dimensional"):
        transforms.ToTensor()(np.zeros(3))
    with pytest.raises(ValueError, match="> 4 channels"):
        transforms.ToPILImage()(mg.zeros(5, 2, 2))
    with pytest.raises(ValueError, match="Incorrect mode"):
        transforms.ToPILImage("RGB")(mg.zeros(1, 2, 2))


def test_normalize():
    image = mg.rand(3, 4, 5)
    out = transforms.Normalize((0.1, 0.2, 0.3), (0.5, 1.0, 2.0))(image)
    expected = (image.numpy() - np.array([0.1, 0.2, 0.3]).reshape(3, 1, 1)) / np.array([0.5, 1.0, 2.0]).reshape(3, 1, 1)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="division by zero"):
        transforms.Normalize((0.0,), (0.0,))(image)
    with pytest.raises(TypeError, match="float tensor"):
        transforms.Normalize((0.0,), (1.0,))(image.to(mg.uint8))
    transforms.Normalize((0.0,), (2.0,), inplace=True)(image)
    assert image.max().item() <= 0.5


@pytest.mark.parametrize("kind", ["picture", "tensor"])
def test_places_and_borders(kind, pixels):
    image = Image.fromarray(pixels) if kind == "picture" else mg.from_numpy(pixels.transpose(2, 0, 1).copy())

    def back(out):
        return np.asarray(out) if kind == "picture" else out.numpy().transpose(1, 2, 0)

    assert np.array_equal(back(F.crop(image, 2, 3, 5, 6)), pixels[2:7, 3:9])
    outside = np.zeros((14, 20, 3), np.uint8)
    outside[1:13, 2:19] = pixels
    assert np.array_equal(back(F.crop(image, -1, -2, 14, 20)), outside)
    assert np.array_equal(back(F.hflip(image)), pixels[:, ::-1])
    assert np.array_equal(back(F.vflip(image)), pixels[::-1])
    assert np.array_equal(back(transforms.CenterCrop(6)(image)), pixels[3:9, 6:12])
    assert back(transforms.CenterCrop((20, 4))(image)).shape == (20, 4, 3)
    for mode, numpys in (("constant", "constant"), ("edge", "edge"), ("reflect", "reflect"), ("symmetric", "symmetric")):
        expected = np.pad(pixels, ((2, 4), (1, 3), (0, 0)), numpys)
        assert np.array_equal(back(transforms.Pad((1, 2, 3, 4), padding_mode=mode)(image)), expected), mode
    assert back(transforms.Pad((1, 2))(image)).shape == (16, 19, 3)
    assert back(transforms.Pad(2, fill=7)(image))[0, 0].tolist() == [7, 7, 7]
    crops = [back(crop) for crop in transforms.FiveCrop(5)(image)]
    assert np.array_equal(crops[3], pixels[-5:, -5:])
    assert len(transforms.TenCrop(5)(image)) == 10
    assert back(transforms.Resize(6)(image)).shape == (6, 8, 3)
    assert back(transforms.Resize((5, 7))(image)).shape == (5, 7, 3)
    assert back(transforms.Resize(6, max_size=7)(image)).shape == (5, 7, 3)
    with pytest.raises(ValueError, match="bigger than input"):
        F.five_crop(image, 100)
    with pytest.raises(ValueError, match="larger than input"):
        transforms.RandomCrop(100)(image)
    with pytest.raises(ValueError, match="Padding mode"):
        F.pad(image, 1, padding_mode="no")


@pytest.mark.parametrize("kind", ["picture", "tensor"])
def test_random_transforms(kind, pixels):
    image = Image.fromarray(pixels) if kind == "picture" else mg.from_numpy(pixels.transpose(2, 0, 1).copy())

    def back(out):
        return np.asarray(out) if kind == "picture" else out.numpy().transpose(1, 2, 0)

    def outcomes(transform, times=40):
        mg.manual_seed(3)
        found = [back(transform(image)) for _ in range(times)]
        mg.manual_seed(3)
        assert np.array_equal(back(transform(image)), found[0]), "the generator decides"
        return {out.tobytes() for out in found}, found

    every, _ = outcomes(transforms.RandomHorizontalFlip())
    assert every == {pixels.tobytes(), pixels[:, ::-1].tobytes()}
    every, _ = outcomes(transforms.RandomVerticalFlip(p=1.0))
    assert every == {pixels[::-1].tobytes()}
    every, found = outcomes(transforms.RandomCrop(10, padding=1))
    padded = np.pad(pixels, ((1, 1), (1, 1), (0, 0)))
    windows = {padded[i : i + 10, j : j + 10].tobytes() for i in range(5) for j in range(10)}
    assert every <= windows
    assert len(every) > 15
    assert back(transforms.RandomCrop((20, 30), pad_if_needed=True)(image)).shape == (20, 30, 3)
    every, found = outcomes(transforms.RandomResizedCrop((6, 7)), 10)
    assert len(every) == 10
    assert {out.shape for out in found} == {(6, 7, 3)}
    every, _ = outcomes(transforms.RandomApply([F.hflip], p=0.3))
    assert len(every) == 2
    every, _ = outcomes(transforms.RandomChoice([F.hflip, F.vflip, lambda image: image]))
    assert len(every) == 3
    every, _ = outcomes(transforms.RandomOrder([F.hflip, lambda image: F.crop(image, 0, 0, 12, 8)]))
    assert len(every) == 2
    every, found = outcomes(transforms.RandomGrayscale(p=0.5))
    assert len(every) == 2
    assert {out.shape for out in found} == {(12, 17, 3)}
    hue = 0.1 if kind == "picture" else 0
    every, found = outcomes(transforms.ColorJitter(0.3, (0.5, 1.5), 0.2, hue), 5)
    assert len(every) == 5
    every, _ = outcomes(transforms.GaussianBlur(3), 5)
    assert len(every) == 5
    if kind == "picture":
        every, _ = outcomes(transforms.RandomRotation(30), 5)
        assert len(every) == 5
    else:
        every, found = outcomes(transforms.RandomErasing(p=1.0, value=(1, 2, 3)), 5)
        assert all((out == [1, 2, 3]).all(axis=2).sum() >= 2 for out in found)
        for refused in (transforms.RandomRotation(30), transforms.ColorJitter(hue=0.5)):
            with pytest.raises(TypeError, match="before ToTensor"):
                refused(image)


def test_gray_and_blur_by_their_formulas(rng):
    image = mg.from_numpy(rng.random((3, 9, 11), dtype=np.float32))
    red, green, blue = image.numpy()
    gray = 0.2989 * red + 0.587 * green + 0.114 * blue
    np.testing.assert_allclose(transforms.Grayscale()(image)[0].numpy(), gray, rtol=1e-6)
    assert transforms.Grayscale(3)(image).shape == (3, 9, 11)
    weights = np.exp(-0.5 * (np.arange(-1, 2) / 0.8) ** 2)
    weights /= weights.sum()
    padded = np.pad(image.numpy(), ((0, 0), (1, 1), (1, 1)), "reflect")
    expected = sum(
        weights[i] * weights[j] * padded[:, i : i + 9, j : j + 11] for i in range(3) for j in range(3)
    )  # fmt: skip
    np.testing.assert_allclose(F.gaussian_blur(image, 3, 0.8).numpy(), expected, rtol=1e-5)
    assert F.gaussian_blur(transforms.ToPILImage()(image), (5, 3)).size == (11, 9)
    with pytest.raises(ValueError, match="odd"):
        F.gaussian_blur(image, 2)


def test_reprs():
    composed = transforms.Compose([
        transforms.Resize(256), transforms.CenterCrop(224), transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(),
        transforms.RandomApply([transforms.Pad(1)], p=0.3), transforms.ToTensor(), transforms.Normalize((0.5,), (0.2,)),
    ])  # fmt: skip
    assert repr(composed).splitlines() == [
        "Compose(",
        "    Resize(size=256, interpolation=bilinear, max_size=None, antialias=True)",
        "    CenterCrop(size=(224, 224))",
        "    RandomCrop(size=(32, 32), padding=4)",
        "    RandomHorizontalFlip(p=0.5)",
        "    RandomApply(",
        "    p=0.3",
        "    Pad(padding=1, fill=0, padding_mode=constant)",
        ")",
        "    ToTensor()",
        "    Normalize(mean=(0.5,), std=(0.2,))",
        ")",
    ]


# Transforms, against torchvision

SAMPLES = {
    "resize": lambda T, i: T.functional.resize(i, [7, 9]),
    "resize up": lambda T, i: T.functional.resize(i, 20),
    "resize nearest": lambda T, i: T.functional.resize(i, [7, 9], T.InterpolationMode.NEAREST),
    "resize bicubic": lambda T, i: T.functional.resize(i, [25, 9], T.InterpolationMode.BICUBIC),
    "resize without antialias": lambda T, i: T.functional.resize(i, [7, 9], antialias=False),
    "resize max_size": lambda T, i: T.functional.resize(i, 6, max_size=7),
    "center crop": lambda T, i: T.CenterCrop((5, 20))(i),
    "center crop outside": lambda T, i: T.CenterCrop((15, 20))(i),
    "crop outside": lambda T, i: T.functional.crop(i, -3, 10, 8, 12),
    "pad": lambda T, i: T.functional.pad(i, [1, 2, 3, 4], 9),
    "pad symmetric": lambda T, i: T.functional.pad(i, [1, 2], padding_mode="symmetric"),
    "pad reflect": lambda T, i: T.functional.pad(i, 3, padding_mode="reflect"),
    "pad edge": lambda T, i: T.functional.pad(i, 3, padding_mode="edge"),
    "gray": lambda T, i: T.Grayscale()(i),
    "gray of three": lambda T, i: T.Grayscale(3)(i),
    "brightness": lambda T, i: T.functional.adjust_brightness(i, 1.3),
    "contrast": lambda T, i: T.functional.adjust_contrast(i, 0.7),
    "saturation": lambda T, i: T.functional.adjust_saturation(i, 1.6),
    "blur": lambda T, i: T.functional.gaussian_blur(i, [5, 3], [0.7, 1.1]),
    "ten crop": lambda T, i: T.TenCrop(6)(i)[7],
    "hue": lambda T, i: T.functional.adjust_hue(i, -0.2),
    "rotate": lambda T, i: T.functional.rotate(i, 30.0, T.InterpolationMode.BILINEAR, expand=True),
    "rotate around": lambda T, i: T.functional.rotate(i, 200.0, center=[3, 4], fill=[5]),
    "to tensor": lambda T, i: T.ToTensor()(i),
}
PICTURES_ONLY = {"hue", "rotate", "rotate around", "to tensor"}


@pytest.mark.filterwarnings("ignore:Anti-alias option")
@pytest.mark.parametrize("kind", ["picture", "gray picture", "bytes", "floats", "batch"])
def test_transforms_as_torchvision_s(kind, pixels, torch, torchvision):
    def image(lib):
        if "picture" in kind:
            return Image.fromarray(pixels if kind == "picture" else pixels[:, :, 0])
        if kind == "bytes":
            return lib.from_numpy(pixels.transpose(2, 0, 1).copy())
        values = (pixels / 255).astype(np.float32).transpose(2, 0, 1)
        return lib.from_numpy(values.copy() if kind == "floats" else np.stack([values, values[:, ::-1]]))

    for name, sample in SAMPLES.items():
        if name in PICTURES_ONLY and "picture" not in kind:
            continue
        ours = sample(transforms, image(mg))
        theirs = sample(torchvision.transforms, image(torch))
        assert array(ours).dtype == array(theirs).dtype, name
        assert array(ours).shape == array(theirs).shape, name
        # Tensors of bytes: a value on the border between two may be rounded to either.
        tolerance = 1 if kind == "bytes" else 1e-5
        np.testing.assert_allclose(array(ours).astype(float), array(theirs).astype(float), atol=tolerance, rtol=0, err_msg=name)


def test_convert_image_dtype_as_torchvision_s(torch, torchvision, rng):
    values = rng.random((3, 4, 5))
    for name in ("float64", "float32", "uint8", "int16", "int32"):
        for target in ("float64", "float32", "uint8", "int16", "int32", "int64"):
            results = []
            for lib, functional in ((mg, F), (torch, torchvision.transforms.functional)):
                source = lib.from_numpy(values) if name.startswith("float") else lib.from_numpy((values * 100).astype(name))
                try:
                    results.append(functional.convert_image_dtype(source.to(getattr(lib, name)), getattr(lib, target)).numpy())
                except RuntimeError as error:
                    results.append(str(error).replace("torch.", "minigrad."))
            assert np.array_equal(results[0], results[1]), (name, target)


def test_reprs_as_torchvision_s(torchvision):
    for make in (
        lambda T: T.Compose([T.ToTensor(), T.Normalize((0.1307,), (0.3081,))]),
        lambda T: T.RandomResizedCrop(224),
        lambda T: T.Resize([3, 4], T.InterpolationMode.NEAREST),
        lambda T: T.ColorJitter(0.3, (0.5, 1.5), 0, 0.1),
        lambda T: T.RandomRotation(30, center=(1, 2)),
        lambda T: T.Grayscale(3),
        lambda T: T.RandomGrayscale(),
        lambda T: T.RandomVerticalFlip(),
        lambda T: T.Pad((1, 2), fill=3),
        lambda T: T.FiveCrop(3),
        lambda T: T.TenCrop((3, 4)),
        lambda T: T.RandomErasing(),
        lambda T: T.GaussianBlur(3),
        lambda T: T.Lambda(abs),
        lambda T: T.ToPILImage(),
        lambda T: T.PILToTensor(),
        lambda T: T.RandomApply([T.CenterCrop(3)]),
        lambda T: T.RandomChoice([T.CenterCrop(3)]),
    ):
        assert repr(make(transforms)) == repr(make(torchvision.transforms))


# Grids


def grids():
    rng = np.random.default_rng(0)
    images = rng.random((7, 3, 5, 6), dtype=np.float32) * 3 - 1
    return [
        (images, {}),
        (images, {"nrow": 3, "padding": 1, "pad_value": 0.5}),
        (images[:, :1], {"normalize": True}),
        (images, {"normalize": True, "scale_each": True}),
        (images, {"normalize": True, "value_range": (-0.5, 0.5)}),
        (images[:1], {}),
        (images[0, :1], {}),
        (images[0, 0], {}),
    ]


def test_grids_as_torchvision_s(torch, torchvision, tmp_path):
    for i, (images, options) in enumerate(grids()):
        ours, theirs = mg.from_numpy(images.copy()), torch.from_numpy(images.copy())
        expected = torchvision.utils.make_grid(theirs, **options).numpy()
        np.testing.assert_allclose(utils.make_grid(ours, **options).numpy(), expected, atol=1e-6, rtol=0)
        assert np.array_equal(ours.numpy(), images), "the images are left as they are"
        utils.save_image(ours, tmp_path / f"{i}.png", **options)
        torchvision.utils.save_image(theirs, tmp_path / "expected.png", **options)
        assert np.array_equal(np.asarray(Image.open(tmp_path / f"{i}.png")), np.asarray(Image.open(tmp_path / "expected.png")))


def test_a_grid_is_images_with_gaps(tmp_path):
    grid = utils.make_grid([mg.full((1, 2, 3), float(i)) for i in range(1, 5)], nrow=2, padding=1)
    row = [0, 1, 1, 1, 0, 2, 2, 2, 0]
    assert grid.shape == (3, 7, 9)
    assert grid[0, 1].tolist() == row
    assert grid[2, 0].tolist() == [0] * 9
    utils.save_image(mg.tensor([[0.0, 0.5, 1.0, 2.0]]), tmp_path / "line.png")
    assert np.asarray(Image.open(tmp_path / "line.png"))[0, :, 0].tolist() == [0, 128, 255, 255]
    with pytest.raises(TypeError, match="tensor or list of tensors expected"):
        utils.make_grid(3)
    with pytest.raises(TypeError, match="got a list containing"):
        utils.make_grid([3])


# Models


@pytest.mark.parametrize("name", ["alexnet", "vgg11_bn", "resnet18", "resnet50"])
def test_parameters_as_torchvision_s(name, torch, torchvision):
    options = {"init_weights": False} if name.startswith("vgg") else {}
    ours = getattr(models, name)(**options).state_dict()
    with torch.device("meta"):
        theirs = getattr(torchvision.models, name)(**options).state_dict()
    assert [(key, tuple(value.shape)) for key, value in ours.items()] == [
        (key, tuple(value.shape)) for key, value in theirs.items()
    ]


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (models.lenet, 61_706),
        (models.alexnet, 61_100_840),
        (lambda: models.vgg16(init_weights=False), 138_357_544),
        (models.resnet18, 11_689_512),
    ],
    ids=["lenet", "alexnet", "vgg16", "resnet18"],
)
def test_numbers_of_parameters(make, count):
    assert sum(parameter.numel() for parameter in make().parameters()) == count


def test_resnet_s_names_and_start():
    mg.manual_seed(0)
    net = models.resnet18(num_classes=5, zero_init_residual=True)
    names = list(net.state_dict())
    assert names[:3] == ["conv1.weight", "bn1.weight", "bn1.bias"]
    assert {"layer2.0.downsample.0.weight", "layer2.0.downsample.1.running_var", "fc.bias"} <= set(names)
    assert "layer1.0.downsample.0.weight" not in names
    assert net.layer1[0].bn2.weight.sum().item() == 0.0
    weight = net.layer4[1].conv2.weight  # normal, of variance 2 / (512 * 9)
    assert abs(weight.std().item() * (512 * 9 / 2) ** 0.5 - 1) < 0.01
    assert net(mg.randn(2, 3, 33, 33)).shape == (2, 5)


def test_outputs_and_gradients_as_torchvision_s(torch, torchvision, rng):
    ours, theirs = models.resnet18(num_classes=3).double(), torchvision.models.resnet18(num_classes=3).double()
    theirs.load_state_dict({key: torch.from_numpy(value.numpy()) for key, value in ours.state_dict().items()})
    ours.eval(), theirs.eval()
    images = rng.standard_normal((1, 3, 40, 40))
    results = []
    for lib, model in ((mg, ours), (torch, theirs)):
        out = model(lib.from_numpy(images))
        out.square().sum().backward()
        results.append((out.detach().numpy(), model.conv1.weight.grad.numpy()))
    for mine, expected in zip(*results):
        np.testing.assert_allclose(mine, expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())


def test_trained_weights_are_refused():
    for call in (lambda: models.resnet18(weights="DEFAULT"), lambda: models.alexnet(pretrained=True)):
        with pytest.raises(ValueError, match="no trained weights"):
            call()
    assert isinstance(models.lenet()(mg.zeros(2, 1, 28, 28)), mg.Tensor)


# Datasets


def idx(values):
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


@pytest.fixture
def digits(tmp_path, rng):
    """A folder with six images in MNIST's layout: the training part zipped, the test part plain."""
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    images, labels = rng.integers(0, 256, (6, 28, 28), dtype=np.uint8), np.array([3, 1, 4, 1, 5, 9], np.uint8)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx(images[:2]))
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(labels[:2]))
    return tmp_path, images, labels


def test_mnist(digits):
    root, images, labels = digits
    train = datasets.MNIST(root, train=True, download=True, transform=transforms.ToTensor(), target_transform=lambda y: y + 1)
    assert len(train) == 6
    assert np.array_equal(train.data.numpy(), images)
    assert train.targets.tolist() == labels.tolist()
    image, label = train[2]
    assert (tuple(image.shape), label) == ((1, 28, 28), 5)
    assert np.array_equal(image.numpy()[0], images[2].astype(np.float32) / 255)
    test = datasets.MNIST(str(root), train=False)
    assert np.array_equal(np.asarray(test[1][0]), images[1])
    assert test.class_to_idx["9 - nine"] == 9
    lines = repr(train).splitlines()
    assert lines[:5] == [
        "Dataset MNIST", "    Number of datapoints: 6", f"    Root location: {root}", "    Split: Train", "    StandardTransform",
    ]  # fmt: skip
    assert lines[5] == "Transform: ToTensor()"
    batch, _ = next(iter(mg.utils.data.DataLoader(train, batch_size=4)))
    assert batch.shape == (4, 1, 28, 28)


def test_a_dataset_s_repr_as_torchvision_s(torchvision):
    made = []
    for library in (vision, torchvision):
        both = library.transforms.Compose([library.transforms.Resize(3), library.transforms.ToTensor()])
        made.append(repr(library.datasets.FakeData(transform=both, target_transform=both)))
    assert made[0] == made[1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: b"\0\0\x0d\3" + data[4:],
        lambda data: data[:7],
        lambda data: data[:4] + struct.pack(">I", 0xFFFFFFFF) + data[8:],
    ],
    ids=["short", "long", "another type", "no header", "huge"],
)
def test_a_damaged_file_is_refused(digits, damage):
    root, _, _ = digits
    path = root / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match="t10k-images"):
        datasets.MNIST(root, train=False)


def test_a_damaged_gzip_is_refused(digits):
    root, _, _ = digits
    path = root / "MNIST" / "raw" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match="train-images"):
        datasets.MNIST(root)


def test_missing_files_are_downloaded_and_checked(digits, tmp_path, monkeypatch):
    import hashlib

    root, images, _ = digits
    source = root / "MNIST" / "raw"
    names = ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]
    sums = {name: hashlib.md5((source / name).read_bytes()).hexdigest() for name in names}
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"{(tmp_path / 'nowhere').as_uri()}/", f"{source.as_uri()}/"])
    monkeypatch.setattr(datasets.MNIST, "resources", sums)
    with pytest.raises(RuntimeError, match="download=True"):
        datasets.MNIST(tmp_path / "new")
    fetched = datasets.MNIST(tmp_path / "new", download=True)
    assert np.array_equal(fetched.data.numpy(), images)
    folder = tmp_path / "new" / "MNIST" / "raw"
    assert sorted(path.name for path in folder.iterdir()) == names
    (folder / names[0]).unlink()
    monkeypatch.setattr(datasets.MNIST, "resources", {**sums, names[0]: "0" * 32})
    with pytest.raises(RuntimeError, match="MD5 checksum"):
        datasets.MNIST(tmp_path / "new", download=True)
    assert not (folder / names[0]).exists()


def test_a_download_from_nowhere_says_what_to_do(tmp_path):
    with pytest.raises(RuntimeError, match="by hand"):
        download([(tmp_path / "nothing").as_uri()], tmp_path / "file", "0" * 32)
    assert list(tmp_path.iterdir()) == []


def test_image_folder(tmp_path, rng):
    for name, count in (("cat", 2), ("dog", 1)):
        (tmp_path / name).mkdir()
        for i in range(count):
            Image.fromarray(rng.integers(0, 256, (8, 9), dtype=np.uint8)).save(tmp_path / name / f"{i}.PNG")
    (tmp_path / "dog" / "notes.txt").write_text("no image")
    folder = datasets.ImageFolder(str(tmp_path), transform=transforms.ToTensor())
    assert folder.classes == ["cat", "dog"]
    assert folder.class_to_idx == {"cat": 0, "dog": 1}
    assert folder.targets == [0, 0, 1]
    assert folder.imgs is folder.samples
    image, target = folder[2]
    assert (tuple(image.shape), target) == ((3, 8, 9), 1)
    (tmp_path / "fox").mkdir()
    with pytest.raises(FileNotFoundError, match="no valid file for the classes fox"):
        datasets.ImageFolder(tmp_path)
    assert len(datasets.ImageFolder(tmp_path, allow_empty=True)) == 3
    texts = datasets.DatasetFolder(tmp_path, loader=lambda path: Path(path).read_text(), extensions=(".txt",), allow_empty=True)
    assert texts[0] == ("no image", 1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="class folder"):
        datasets.ImageFolder(tmp_path / "empty")


def test_fake_data():
    fake = datasets.FakeData(size=3, image_size=(3, 8, 9), num_classes=4, transform=transforms.ToTensor())
    mg.manual_seed(5)
    before = mg.rand(1).item()
    mg.manual_seed(5)
    image, target = fake[1]
    assert mg.rand(1).item() == before, "the global generator stays as it is"
    assert (tuple(image.shape), 0 <= target < 4) == ((3, 8, 9), True)
    assert np.array_equal(fake[1][0].numpy(), image.numpy())
    assert not np.array_equal(fake[2][0].numpy(), image.numpy())
    assert len(list(fake)) == 3
    with pytest.raises(ValueError, match="Only transforms or"):
        datasets.VisionDataset(transforms=abs, transform=abs)


class Evil:
    def __reduce__(self):
        return (print, ("this must not run",))


def test_cifar(tmp_path, rng, capsys, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    images = rng.integers(0, 256, (10, 3072), dtype=np.uint8)
    for i, name in enumerate(["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"]):
        (folder / name).write_bytes(pickle.dumps({"data": images[i : i + 2], "labels": [i, i + 1]}, protocol=2))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    train = datasets.CIFAR10(tmp_path, transform=transforms.ToTensor())
    assert (len(train), train.targets[:4], train.classes[9]) == (10, [0, 1, 1, 2], "j")
    assert np.array_equal(train[0][0].numpy(), images[0].reshape(3, 32, 32).astype(np.float32) / 255)
    assert len(datasets.CIFAR10(tmp_path, train=False)) == 2
    with pytest.raises(RuntimeError, match="not there"):
        datasets.CIFAR100(tmp_path)
    (folder / "test_batch").write_bytes(pickle.dumps({"data": images[:2], "labels": Evil()}))
    with pytest.raises(ValueError, match="which no array needs"):
        datasets.CIFAR10(tmp_path, train=False)
    assert "must not run" not in capsys.readouterr().out
    (folder / "test_batch").write_bytes(pickle.dumps({"data": images[:1], "labels": [1, 2]}))
    with pytest.raises(ValueError, match="expected bytes of shape"):
        datasets.CIFAR10(tmp_path, train=False)


def test_cifar_is_downloaded(tmp_path, monkeypatch):
    import hashlib

    folder = tmp_path / "source" / "cifar-100-python"
    folder.mkdir(parents=True)
    entry = {"data": np.zeros((2, 3072), np.uint8), "fine_labels": [7, 8]}
    for name in ("train", "test"):
        (folder / name).write_bytes(pickle.dumps(entry))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": ["x"] * 100}))
    archive = tmp_path / "cifar-100-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, "cifar-100-python")
    monkeypatch.setattr(datasets.CIFAR100, "url", archive.as_uri())
    monkeypatch.setattr(datasets.CIFAR100, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    assert datasets.CIFAR100(tmp_path / "new", download=True).targets == [7, 8]


def test_interpolation_modes():
    assert F.interpolation_mode(2) is InterpolationMode.BILINEAR
    with pytest.raises(TypeError, match="interpolation"):
        transforms.Resize(3, "bilinear")
