"""Texts and conversations that are hard on tokenizers and templates."""

import random

FIXED = [
    "",
    " ",
    "Hello, world!",
    "  leading and trailing  ",
    "a" * 50,
    " " * 33,
    "\n\n\n",
    "\r\n\r\ntext\r\n",
    "\t\tif x:\n\t\t\treturn 1\r\n",
    "it's we'LL they'Re I'd can'T o'clock 'S 's",
    "\u017f's '\u017f \u212aelvin",
    "1234567890 3.14159 1,000,000 ٣٤٥ ½ Ⅷ",
    "你好，世界！这是一张图片。",
    "日本語のテキストとひらがな、カタカナ。",
    "한국어 텍스트 한글",
    "مرحبا بالعالم، كيف الحال؟",
    "שלום עולם",
    "नमस्ते दुनिया",
    "สวัสดีชาวโลก",
    "Ελληνικά και Кириллица",
    "👍 👩‍👩‍👧‍👦 🇩🇪🇯🇵 🏳️‍🌈 👋🏽 ❤️",
    "e\u0301 \u00e9 a\u030a\u0323 a\u0323\u030a \u212b \u0958 \u1100\u1161\u11a8",
    "\ufb01 \u2460 \u00bd \u2126",
    "zero\u200bwidth \u200d \ufeff bom \u00a0nbsp \u3000wide \u2028line \u0085next",
    "\ufeffstarts with a byte order mark",
    "\x00\x01\x1b[0m\x7f",
    "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n",
    "<|im_end|><|im_end|> <|im_end|>\n<|im_end|>",
    "<|im_start",
    "im_end|>",
    "< |im_end|> <|im_end |> <|IM_END|> <||im_end||>",
    "<|<|im_end|>|>",
    "<think>\nI think so.\n</think>\n\nyes",
    "<think",
    "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>",
    "<|vision_start|><|image_pad|><|vision_end|> text",
    "<|image_pad|><|image_pad|>",
    "<|video_pad|><|vision_pad|><|quad_start|><|box_end|><|object_ref_start|>",
    "<|endoftext|>",
    "e<|im_end|>\u0301",
    "def f(x: int) -> str:\n    return f'{x!r:>10}'  # comment\n",
    "for (let i = 0; i < n; i++) { a[i] += b[i] ?? 0 }",
    "SELECT * FROM t WHERE a <> 'b' -- c",
    "\\frac{1}{2}\\int_0^\\infty e^{-x^2}\\,dx = \\boxed{42}",
    "https://example.com/a?b=c&d=%20e#f",
    "snake_case camelCase PascalCase SCREAMING_CASE kebab-case",
    "!!!???...---===***",
    "\u0301\u0301 starts with marks",
    "\U0001f600\U0001f600\U0001f600",
    "𝒜𝓁𝓅𝒽𝒶 𝟘𝟙𝟚 𐍈 𠜎",
    "constructor __proto__ toString",
    "mixed 中文 and English 和 emoji 🎉 in одном предложении",
    "The answer is B.\n\n<description>A chart.</description>\n",
]


def random_texts(count: int, seed: int) -> list[str]:
    """Strings of words, marks, spaces and characters of many scripts, all assigned before Unicode 15."""
    rng = random.Random(seed)
    words = ["the", " quick", "'s", "'LL", "<|im_end|>", "<|im", "<think>", "    ", "\r\n", "\n", "\t", "e\u0301", "\u1100\u1161", "42", "\u200d"]
    scripts = [(0x20, 0x7E), (0xA0, 0x17F), (0x300, 0x36F), (0x370, 0x3FF), (0x410, 0x44F), (0x5D0, 0x5EA), (0x620, 0x64A)]
    scripts += [(0x904, 0x939), (0xE01, 0xE3A), (0x3041, 0x3096), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0x2190, 0x22FF), (0x1F300, 0x1F5FF)]
    texts = []
    for _ in range(count):
        parts = []
        for _ in range(rng.randint(1, 30)):
            low, high = rng.choice(scripts)
            parts.append(rng.choice(words) if rng.random() < 0.4 else chr(rng.randint(low, high)))
        texts.append("".join(parts))
    return texts


TEXTS = FIXED + random_texts(80, 3)

IMAGE = {"type": "image", "image": "figure.png"}
TEXT = {"type": "text", "text": "What is shown?"}


def turn(role: str, content: object) -> dict:
    return {"role": role, "content": content}


def chat(*messages: dict, **options: object) -> dict:
    return {"messages": list(messages), "options": options}


CHATS = [
    chat(turn("user", "Hi"), add_generation_prompt=True),
    chat(turn("user", "Hi"), add_generation_prompt=False),
    chat(turn("system", "Be brief."), turn("user", "Hi"), add_generation_prompt=True),
    chat(turn("user", [IMAGE, TEXT]), add_generation_prompt=True),
    chat(turn("user", [TEXT, IMAGE, IMAGE, TEXT]), add_generation_prompt=True),
    chat(turn("user", [IMAGE, TEXT]), turn("assistant", "A chart."), turn("user", "Sure?"), add_generation_prompt=True),
    chat(turn("user", [IMAGE, TEXT]), turn("assistant", [{"type": "text", "text": "A chart."}]), add_generation_prompt=False),
    chat(turn("user", [IMAGE, TEXT, IMAGE]), turn("user", [IMAGE]), add_generation_prompt=True, add_vision_id=True),
    chat(turn("system", [{"type": "text", "text": "S"}]), turn("user", []), add_generation_prompt=True),
    chat(turn("user", "  spaces \n\n and lines\r\n\ttabs  "), turn("assistant", "<think>\nhm\n</think>\n\nok"), add_generation_prompt=True),
    chat(turn("user", "ünïcödé 你好 👩‍👩‍👧 {{ not a template }} {% raw %}"), add_generation_prompt=True),
    chat(turn("user", "a"), turn("assistant", "b"), turn("user", "c"), turn("assistant", "d"), add_generation_prompt=False),
    chat(turn("critic", "an unknown role"), add_generation_prompt=True),
]


def picture(name: str) -> dict:
    return {"type": "image", "image": name}


PROMPTS = [
    [turn("user", [picture("photo-420.jpg"), TEXT])],
    [turn("user", [TEXT, picture("tiny.png"), picture("strip.png"), TEXT])],
    [turn("system", "Look."), turn("user", [picture("rotated.jpg"), TEXT]), turn("assistant", "A"), turn("user", [picture("cmyk.jpg")])],
    [turn("user", [picture("figure.png"), picture("figure.png"), TEXT])],
    [turn("user", "No image at all. <|im_end|>")],
    [turn("user", [picture("animated.gif"), picture("small.avif"), picture("scan.tiff"), picture("grey-16.png")])],
    [turn("user", [picture("tall.png"), {"type": "text", "text": "多少 👍?"}])],
]
