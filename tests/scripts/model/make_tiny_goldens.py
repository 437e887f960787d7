#!/usr/bin/env python3
"""Logits that transformers computes (float32) for the weights of a tiny GGUF, dequantised by gguf.

make_tiny_goldens.py HF_DIR MODEL.gguf OUT_PREFIX

HF_DIR gives the configuration only. Writes OUT_PREFIX.prompts.txt (a line of 64 token ids each)
and OUT_PREFIX.logits.f32 (little-endian rows of vocab floats: all 64 positions of the first prompt, then the last
position of each other prompt).
"""
import sys

import gguf
import numpy as np
import torch
from hf_to_gguf import gguf_name
from transformers import LlamaConfig, LlamaForCausalLM


def halves_apart(rows, heads):
    """The inverse of hf_to_gguf.pairs_adjacent."""
    dim = rows.shape[0] // heads
    return rows.reshape(heads, dim // 2, 2, -1).swapaxes(1, 2).reshape(rows.shape)


def load(hf_dir, path):
    config = LlamaConfig.from_pretrained(hf_dir)
    model = LlamaForCausalLM(config).eval()
    tensors = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(path).tensors}
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    with torch.no_grad():
        for name, weight in model.named_parameters():
            key = gguf_name(name)
            values = tensors[key].reshape(tuple(weight.shape))
            part = key.split(".")[-2]
            if part in heads:
                values = halves_apart(values, heads[part])
            weight.copy_(torch.from_numpy(values.astype(np.float32)))
    return model


def main():
    hf_dir, path, prefix = sys.argv[1:]
    model = load(hf_dir, path)
    prompts = np.random.default_rng(7).integers(3, model.config.vocab_size, size=(8, 64))
    with torch.no_grad():
        logits = model(torch.from_numpy(prompts)).logits.numpy()
    rows = np.concatenate([logits[0], logits[1:, -1]]).astype("<f4")
    rows.tofile(prefix + ".logits.f32")
    with open(prefix + ".prompts.txt", "w") as f:
        for prompt in prompts:
            f.write(" ".join(map(str, prompt)) + "\n")
    with torch.no_grad():
        tokens = torch.from_numpy(prompts[:, :24])
        out = model.generate(tokens, max_new_tokens=200, do_sample=False, eos_token_id=None, pad_token_id=2)
    print("logit std", rows.std(), "distinct tokens in 200 greedy", [len(set(r[24:].tolist())) for r in out])
    print("end tokens", [(r[24:] == 2).sum().item() for r in out])


if __name__ == "__main__":
    main()
