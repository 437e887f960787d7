#!/usr/bin/env python3
"""Greedy continuations that transformers (float32) computes from a GGUF file.

make_greedy_goldens.py MODEL.gguf OUT.txt

50 prompts made from prompts.txt: ten each of 8, 16, 32, 64 and 128 tokens, the longer ones from several lines.
Four lines a prompt: its token ids; 128 continued ids (end tokens are continued too); the gap between the two
largest logits before each, in units of 1e-4, capped at 9999; and an empty line.
"""
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

LENGTHS = [8, 16, 32, 64, 128]
NEW_TOKENS = 128


def make_prompts(tokenizer):
    lines = pathlib.Path(__file__).with_name("prompts.txt").read_text().splitlines()
    encoded = [tokenizer.encode(line.replace("\\n", "\n"), add_special_tokens=False) for line in lines]
    groups = []
    for g, length in enumerate(LENGTHS):
        group = []
        for i in range(g, len(encoded), len(LENGTHS)):
            ids, step = list(encoded[i]), i
            while len(ids) < length:
                step = (step + 7) % len(encoded)
                ids += encoded[step]
            group.append(ids[:length])
        groups.append(group)
    return groups


def main():
    path, out = sys.argv[1:]
    folder, name = str(pathlib.Path(path).parent), pathlib.Path(path).name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()
    # The mask is given because generate() would take end tokens within a prompt for padding.
    with open(out, "w") as f, torch.no_grad():
        for group in make_prompts(tokenizer):
            result = model.generate(
                torch.tensor(group), attention_mask=torch.ones_like(torch.tensor(group)),
                max_new_tokens=NEW_TOKENS, do_sample=False, num_beams=1, eos_token_id=None,
                pad_token_id=2, output_logits=True, return_dict_in_generate=True,
            )
            logits = torch.stack(result.logits, dim=1)
            top = logits.topk(2).values
            gaps = ((top[..., 0] - top[..., 1]) * 1e4).round().clamp(max=9999).int()
            for prompt, row, gap in zip(group, result.sequences, gaps):
                tokens = row[len(prompt):].tolist()
                assert len(tokens) == NEW_TOKENS
                for line in (prompt, tokens, gap.tolist()):
                    f.write(" ".join(map(str, line)) + "\n")
                f.write("\n")
            print("group of", len(group[0]), flush=True)


if __name__ == "__main__":
    main()
