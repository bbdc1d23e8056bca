"""Draws the small image files of the goldens: texture, text and shapes, in every format and layout that src/processing reads."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageDraw


def photo(height: int, width: int, seed: int) -> Image.Image:
    """Something like a photograph: smooth light, texture at several scales, hard edges, saturated colours."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    layers = [np.sin(9 * x + 4 * y), np.cos(7 * y * y + 3 * x), np.sin(20 * x * y)]
    image = np.stack([128 + 70 * layer for layer in layers], -1)
    for cells, strength in ((8, 40), (40, 16)):
        coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)).resize((width, height), Image.BILINEAR)
        image += (np.asarray(coarse, dtype=float) - 128) * strength / 128
    image += rng.normal(0, 4, image.shape)
    picture = Image.fromarray(image.clip(0, 255).astype(np.uint8))
    return drawn_on(picture, seed)


def drawn_on(picture: Image.Image, seed: int) -> Image.Image:
    """Shapes and text with hard edges."""
    rng = np.random.default_rng(seed + 100)
    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    for _ in range(6):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        size = int(rng.integers(4, max(5, min(width, height) // 3)))
        colour = tuple(int(c) for c in rng.choice([0, 60, 128, 200, 255], 3))
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((x, y, x + size, y + size), fill=colour if rng.random() < 0.5 else None, outline=colour)
    draw.text((width // 8, height // 2), "Figure 7: x = 42", fill=(0, 0, 0))
    return picture


def figure(height: int, width: int, seed: int) -> Image.Image:
    return drawn_on(Image.new("RGB", (width, height), (250, 250, 245)), seed)


def write_images(folder: Path) -> list[str]:
    """Writes the files and returns their names."""
    names = []

    def save(name: str, picture: Image.Image, **options: object) -> None:
        picture.save(folder / name, **options)
        assert (folder / name).stat().st_size < 40_000, name
        names.append(name)

    for source in sorted((Path(__file__).parent / "photos").glob("*.jpg")):
        (folder / source.name).write_bytes(source.read_bytes())
        names.append(source.name)
    save("photo-420.jpg", photo(317, 423, 1), quality=85, subsampling=2)
    save("photo-444.jpg", photo(201, 333, 2), quality=90, subsampling=0)
    save("photo-422-odd.jpg", photo(151, 97, 3), quality=70, subsampling=1)
    save("progressive.jpg", photo(260, 190, 4), quality=80, progressive=True)
    save("grey.jpg", photo(120, 160, 5).convert("L"), quality=80)
    save("cmyk.jpg", photo(90, 130, 6).convert("CMYK"), quality=80)
    exif = Image.Exif()
    exif[0x0112] = 6
    save("rotated.jpg", photo(100, 180, 7), quality=85, exif=exif)
    exif[0x0112] = 7
    save("mirrored.jpg", photo(96, 144, 8), quality=85, exif=exif)
    save("figure.png", figure(480, 640, 9), optimize=True)
    texture = photo(75, 90, 10)
    alpha = Image.fromarray((np.mgrid[0:75, 0:90][1] * 255 // 89).astype(np.uint8))
    texture.putalpha(alpha)
    save("alpha.png", texture, optimize=True)
    save("grey.png", photo(88, 66, 11).convert("L"), optimize=True)
    wide = (np.add.outer(np.arange(64) * 601, np.arange(80) * 331) % 65536).astype(np.uint16)
    save("grey-16.png", Image.fromarray(wide))
    save("palette.png", photo(150, 150, 12).quantize(32), optimize=True)
    save("lossy.webp", photo(240, 320, 13), quality=75)
    save("lossless.webp", figure(120, 200, 14), lossless=True)
    frames = [figure(90, 120, seed).quantize(16) for seed in (15, 16, 17)]
    save("animated.gif", frames[0], save_all=True, append_images=frames[1:], duration=50)
    save("still.gif", figure(60, 70, 23).quantize(16))  # GIF87a
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile[:24] + bytes(12) + profile[36:]  # the day of making
    exchanged = profile.replace(b"rXYZ", b"#XYZ").replace(b"bXYZ", b"rXYZ").replace(b"#XYZ", b"bXYZ")
    save("profile.png", figure(60, 90, 24), icc_profile=exchanged, optimize=True)  # red and blue change places where it is obeyed
    save("scan.tiff", figure(200, 140, 18), compression="tiff_lzw")
    save("small.avif", photo(84, 110, 19), quality=70, subsampling="4:4:4")
    save("strip.png", photo(400, 3, 20), optimize=True)
    save("tall.png", photo(210, 70, 21).quantize(64), optimize=True)
    save("tiny.png", photo(7, 5, 22), optimize=True)
    return names
