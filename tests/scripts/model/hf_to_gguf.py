#!/usr/bin/env python3
"""Converts a Llama saved by transformers (save_pretrained) to GGUF with the gguf package.

hf_to_gguf.py HF_DIR OUT.gguf [--types PATTERN=TYPE ...]
The first pattern found in a tensor's GGUF name wins.

GGUF keeps rotary pairs adjacent (2i, 2i+1) where transformers keeps them half a head apart (i, i + dim/2), so
the rows of attn_q and attn_k are permuted. The tokenizer comes from HF_DIR/tokenizer.json and tokenizer_config.json.
"""
import argparse
import json
import pathlib

import gguf
import numpy as np
from safetensors.numpy import load_file

LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
TOP_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def gguf_name(hf_name):
    stem = hf_name.removesuffix(".weight")
    if stem in TOP_NAMES:
        return TOP_NAMES[stem] + ".weight"
    _, _, layer, rest = stem.split(".", 3)
    return f"blk.{layer}.{LAYER_NAMES[rest]}.weight"


def pairs_adjacent(rows, heads):
    """[heads * dim, in] with pairs (i, i + dim/2) to pairs (2i, 2i + 1)."""
    dim = rows.shape[0] // heads
    return rows.reshape(heads, 2, dim // 2, -1).swapaxes(1, 2).reshape(rows.shape)


def add_hyperparameters(writer, config):
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])


def add_tokenizer(writer, folder):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    config = json.loads((folder / "tokenizer_config.json").read_text())
    special = {t["id"] for t in tokenizer["added_tokens"]}
    vocab = dict(tokenizer["model"]["vocab"])
    vocab.update({t["content"]: t["id"] for t in tokenizer["added_tokens"]})
    tokens = sorted(vocab, key=vocab.get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(config["gguf_pre"])
    writer.add_token_list(tokens)
    writer.add_token_types([3 if vocab[t] in special else 1 for t in tokens])
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(vocab[config["bos_token"]])
    writer.add_eos_token_id(vocab[config["eos_token"]])
    writer.add_unk_token_id(vocab[config["unk_token"]])
    writer.add_pad_token_id(vocab[config["eos_token"]])
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(config["chat_template"])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hf_dir", type=pathlib.Path)
    parser.add_argument("out")
    parser.add_argument("--types", nargs="*", default=[])
    args = parser.parse_args()
    config = json.loads((args.hf_dir / "config.json").read_text())
    types = [rule.split("=") for rule in args.types]

    writer = gguf.GGUFWriter(args.out, "llama")
    writer.add_name(args.hf_dir.name)
    add_hyperparameters(writer, config)
    add_tokenizer(writer, args.hf_dir)
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    for hf_name, values in sorted(load_file(args.hf_dir / "model.safetensors").items()):
        name = gguf_name(hf_name)
        values = values.astype(np.float32)
        part = name.split(".")[-2]
        if part in heads:
            values = pairs_adjacent(values, heads[part])
        wanted = next((t for pattern, t in types if pattern in name), "F32") if values.ndim == 2 else "F32"
        kind = gguf.GGMLQuantizationType[wanted]
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
