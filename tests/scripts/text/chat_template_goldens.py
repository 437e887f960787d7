"""Writes what jinja2, set up as transformers sets it up, renders for 200 conversations.

Usage: chat_template_goldens.py MODEL.gguf TEMPLATES_DIR OUT.txt      (needs: gguf, jinja2)

[conversations] holds one message a line (index, add_generation_prompt, role, content). Then one section a template, the
model's own under [model]: each line has a conversation's index and either `= text` in full or `# hash` of the text, or
`! message` if the template raised, or `!` for any other error.
"""
import json
import os
import sys

import gguf
import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

import strings as source

COUNT, FULL = 200, {"model": 40}
BOS, EOS = "<s>", "</s>"
ROLES = ["user", "assistant"]
PIECES = ["Hello", " there", "  ", "\n", "\n\n", "What's 2+2?", "<think>", "</think>", "é", "日本語", "😀", "\t", "\\", "'", '"',
          "{{ x }}", "{% if %}", "<|im_end|>", "</s>", "a-b", "42", "<tool_response>", "</tool_response>", "\u00a0", "&lt;", " and "]


class Raised(Exception):
    pass


def raise_exception(message):
    raise Raised(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    return env


def conversation(index):
    random = source.Random(index + 77)
    text = lambda: "".join(PIECES[random.below(len(PIECES))] for _ in range(random.below(9)))
    messages = []
    if random.below(3) == 0:
        messages.append({"role": "system", "content": text()})
    turns = 1 + random.below(7)
    for turn in range(turns):
        role = ROLES[turn % 2]
        if random.below(25) == 0:
            role = ["user", "tool", "system", "assistant", "critic"][random.below(5)]
        messages.append({"role": role, "content": text()})
    return messages, random.below(3) != 0


def escape(text):
    out = ""
    for c in text:
        simple = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}.get(c)
        out += simple or (c if c.isprintable() else "\\x{%x}" % ord(c))
    return out


def render(template, messages, generate):
    try:
        return "=", template.render(messages=messages, tools=None, documents=None, add_generation_prompt=generate,
                                    bos_token=BOS, eos_token=EOS)
    except Raised as error:
        return "!", str(error)
    except (jinja2.TemplateError, TypeError, ValueError, ZeroDivisionError, AttributeError, LookupError):
        return "!", ""


def main(model, folder, out_path):
    templates = {"model": gguf.GGUFReader(model).fields["tokenizer.chat_template"].contents()}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding="utf-8") as text:
            templates[name.rsplit(".", 1)[0]] = text.read()
    conversations = [conversation(i) for i in range(COUNT)]
    lines = ["[conversations]"]
    for i, (messages, generate) in enumerate(conversations):
        lines += ["%d %d %s %s" % (i, generate, m["role"], escape(m["content"])) for m in messages]
    for name, text in templates.items():
        lines.append("[%s]" % name)
        template = environment().from_string(text)
        for i, (messages, generate) in enumerate(conversations):
            kind, result = render(template, messages, generate)
            if kind == "=" and i >= FULL.get(name, 8):
                kind, result = "#", "%016x" % source.fnv1a(result.encode("utf-8"))
            lines.append("%d %s %s" % (i, kind, escape(result)))
    with open(out_path, "w", encoding="utf-8", newline="\n") as out:
        out.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
