#!/usr/bin/env python3
"""A fixed text for perplexity, sampled from the model itself with a seed: make_quality_text.py MODEL.gguf OUT.u16

40 windows of 512 tokens, each begun by one line of prompts.txt and continued by transformers at temperature 1. Token ids as
little-endian 16-bit integers, window after window.
"""
import pathlib
import sys

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

WINDOWS = 40
WINDOW_TOKENS = 512
BEGIN_TOKENS = 8


def main():
    path, out = sys.argv[1:]
    folder, name = str(pathlib.Path(path).parent), pathlib.Path(path).name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()
    lines = pathlib.Path(__file__).with_name("prompts.txt").read_text().splitlines()
    begins = [tokenizer.encode(l.replace("\\n", "\n"), add_special_tokens=False) for l in lines]
    begins = [b[:BEGIN_TOKENS] for b in begins if len(b) >= BEGIN_TOKENS][:WINDOWS]
    assert len(begins) == WINDOWS
    torch.manual_seed(20240607)
    with torch.no_grad():
        windows = model.generate(
            torch.tensor(begins), attention_mask=torch.ones_like(torch.tensor(begins)),
            max_new_tokens=WINDOW_TOKENS - BEGIN_TOKENS, do_sample=True, temperature=1.0, top_k=0,
            top_p=1.0, eos_token_id=None, pad_token_id=2,
        )
    assert windows.shape == (WINDOWS, WINDOW_TOKENS)
    windows.numpy().astype("<u2").tofile(out)


if __name__ == "__main__":
    main()
