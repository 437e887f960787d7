#!/usr/bin/env python3
"""Saves a random-weight tiny Llama with transformers, with a byte-level BPE tokenizer and a ChatML template.

make_tiny_llama.py OUT_DIR [--tied]     (then hf_to_gguf.py)

Weights come from numpy's seeded PCG64, so they do not depend on the version of torch. Their scale is chosen
so that attention is not uniform and greedy output varies.
"""
import argparse
import json
import pathlib

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
MERGE_TEXT = """One runner reads the prompt, the next writes the answer, and the cache is the baton that must never be
dropped. The prefill worker computes the keys and the values of every token; the decode worker takes them over and goes on.
When the first token is there the user is already reading, and when a worker is gone another one takes its place."""
VOCAB = 320


def make_tokenizer(folder):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB,
        special_tokens=SPECIALS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator([MERGE_TEXT], trainer)
    assert tokenizer.get_vocab_size() == VOCAB
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "unk_token": "<|endoftext|>",
        "gguf_pre": "smollm",
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def make_model(tied):
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        rms_norm_eps=1e-5,
        rope_theta=10000.0,
        tie_word_embeddings=tied,
        bos_token_id=1,
        eos_token_id=2,
    )
    model = LlamaForCausalLM(config)
    rng = np.random.default_rng(20240607 + tied)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            if weight.ndim == 1:
                values = 1.0 + 0.2 * rng.standard_normal(weight.shape)
            elif "embed_tokens" in name:
                values = 0.4 * rng.standard_normal(weight.shape)
            else:
                gain = 1.6 if "q_proj" in name or "k_proj" in name else 1.3
                values = gain / np.sqrt(weight.shape[1]) * rng.standard_normal(weight.shape)
            weight.copy_(torch.from_numpy(values.astype(np.float32)))
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--tied", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    make_model(args.tied).save_pretrained(args.out)
    make_tokenizer(args.out)


if __name__ == "__main__":
    main()
