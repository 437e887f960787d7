#!/bin/sh
# Makes the tiny models and their goldens again: refresh_tiny.sh PYTHON (with torch, transformers, tokenizers and gguf).
set -eu
python=${1:?usage: refresh_tiny.sh PYTHON}
cd "$(dirname "$0")"
out=../../goldens/model
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" make_tiny_llama.py "$work/tiny-llama"
"$python" hf_to_gguf.py "$work/tiny-llama" "$out/tiny-llama.gguf"
"$python" make_tiny_goldens.py "$work/tiny-llama" "$out/tiny-llama.gguf" "$out/tiny-llama"
"$python" make_tiny_llama.py --tied "$work/tiny-llama-mixed"
"$python" hf_to_gguf.py "$work/tiny-llama-mixed" "$out/tiny-llama-mixed.gguf" --types token_embd=Q8_0 attn_q=BF16 \
  attn_k=Q4_0 attn_v=Q4_1 attn_output=F16 ffn_gate=Q4_1 ffn_up=Q4_0 ffn_down=Q8_0
"$python" make_tiny_goldens.py "$work/tiny-llama-mixed" "$out/tiny-llama-mixed.gguf" "$out/tiny-llama-mixed"
ls -l "$out"
