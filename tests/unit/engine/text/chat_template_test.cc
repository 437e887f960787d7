#include "engine/text/chat_template.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace baton {
namespace {

using ::testing::HasSubstr;

ChatInput Hello() {
  return {{{"user", "Hi"}, {"assistant", "Yo"}}, true, "<s>", "</s>"};
}

absl::StatusOr<std::string> Render(const std::string& source, const ChatInput& input = Hello()) {
  const auto parsed = ChatTemplate::Parse(source);
  if (!parsed.ok()) return parsed.status();
  return (*parsed)->Render(input);
}

std::string Text(const std::string& source) {
  const auto text = Render(source);
  EXPECT_TRUE(text.ok()) << source << ": " << text.status();
  return text.value_or("");
}

void ExpectError(const std::string& source, absl::StatusCode code, const std::string& part) {
  const auto text = Render(source);
  EXPECT_EQ(text.status().code(), code) << source << ": " << text.status();
  EXPECT_THAT(std::string(text.status().message()), HasSubstr(part)) << source;
}

TEST(ChatTemplate, UnknownConstructsAreNamedWithTheirLineWhenParsed) {
  const std::pair<const char*, const char*> cases[] = {
      {"\n{% include 'x' %}", "line 2: block 'include'"},
      {"{% raw %}x{% endraw %}", "block 'raw'"},
      {"{% call x() %}{% endcall %}", "block 'call'"},
      {"\n\n{{ x | dictsort }}", "line 3: filter 'dictsort'"},
      {"{{ x | tojson(sort_keys=true) }}", "'sort_keys'"},
      {"{{ x | trim(1, 2) }}", "'trim' with 2 arguments"},
      {"{{ x is sameas y }}", "test 'sameas'"},
      {"{{ x.append(1) }}", "method 'append'"},
      {"{{ lipsum() }}", "function 'lipsum'"},
      {"{{ 2 ** 3 }}", "'**'"},
      {"{{ x[1, 2] }}", "subscript"},
      {"{{ f(*x) }}", "unpacking"},
      {"{% for a in b recursive %}{% endfor %}", "recursive"},
      {"{{ '\\N{DASH}' }}", "\\N"},
  };
  for (const auto& [source, part] : cases) {
    const auto parsed = ChatTemplate::Parse(source);
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kUnimplemented) << source << ": " << parsed.status();
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr(part)) << source;
  }
}

TEST(ChatTemplate, MalformedTemplatesAreRefusedWithTheirLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"{{ 'x }}", "string has no end"},
      {"\n{{ x", "line 2: a tag has no end"},
      {"{# x", "comment has no end"},
      {"{% if x %}", "block has no end"},
      {"{% endif %}", "unexpected"},
      {"{% for x y %}{% endfor %}", "expected 'in'"},
      {"{{ }}", "missing"},
      {"{{ a b }}", "expected '}}'"},
      {"{{ (1 }}", "unexpected '}'"},
      {"{{ 1] }}", "unexpected ']'"},
      {"{% set 1 = 2 %}", "name to assign"},
      {"{{ ? }}", "unexpected character"},
      {"{{ 99999999999999999999 }}", "too large"},
      {"{% break %}", "outside a loop"},
      {"{{ x | replace('a') }}", "lacks argument 'new'"},
      {"{% %}", "block's name"},
  };
  for (const auto& [source, part] : cases) {
    const auto parsed = ChatTemplate::Parse(source);
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument)
        << source << ": " << parsed.status();
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr(part)) << source;
  }
}

TEST(ChatTemplate, RenderErrorsNameTheirLine) {
  const auto invalid = absl::StatusCode::kInvalidArgument;
  ExpectError("\n\n{{ 'a' + 1 }}", invalid, "line 3: unsupported operand types for +: 'str' and 'int'");
  ExpectError("{{ nothing.field }}", invalid, "'nothing' is undefined");
  ExpectError("{{ messages[9].role }}", invalid, "undefined");
  ExpectError("{{ nothing.strip() }}", invalid, "'nothing' is undefined");
  ExpectError("{{ 1 // 0 }}", invalid, "division by zero");
  ExpectError("{% for x in 5 %}{% endfor %}", invalid, "cannot be iterated");
  ExpectError("{% for a, b in [[1]] %}{% endfor %}", invalid, "1 values for 2 names");
  ExpectError("{{ 9223372036854775807 + 1 }}", invalid, "too large");
  ExpectError("{% set x = 1 %}{% set x.y = 2 %}", invalid, "not a namespace");
  ExpectError("{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", invalid, "at most 1");
  ExpectError("{{ strftime_now('%Y') }}", absl::StatusCode::kUnimplemented, "strftime_now");
  ExpectError("{{ '\xC3\xA9' | upper }}", absl::StatusCode::kUnimplemented, "not ASCII");
  ExpectError("{{ '%s' % 1 }}", absl::StatusCode::kUnimplemented, "%");
}

TEST(ChatTemplate, RaiseExceptionGivesItsMessageAlone) {
  const auto text = Render("{% if true %}\n{{ raise_exception('Roles must alternate') }}{% endif %}");
  EXPECT_EQ(text.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(text.status().message(), "Roles must alternate");
}

TEST(ChatTemplate, ScopesAsInJinja) {
  EXPECT_EQ(Text("{% set x = 1 %}{% for m in messages %}{{ x }}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}"),
            "12121");
  EXPECT_EQ(Text("{% if true %}{% set x = 1 %}{% endif %}{{ x }}"), "1");
  EXPECT_EQ(
      Text("{% set n = namespace(x=1) %}{% for m in messages %}{% set n.x = n.x + 1 %}{% endfor %}{{ n.x }}"),
      "3");
  EXPECT_EQ(Text("{% set g = 'g' %}{% macro m(a, b=a) %}{{ a }}{{ b }}{{ g }}{{ l }}{% endmacro %}"
                 "{% for l in [1] %}{{ m(7) }}{% endfor %}"),
            "77g");
}

TEST(ChatTemplate, WhitespaceControl) {
  EXPECT_EQ(Text("a\n  {% if true %}\n b\n  {% endif %}\nc\n"), "a\n b\nc");
  EXPECT_EQ(Text("a \n {%- if true -%} \n b {%- endif %} c"), "ab c");
  EXPECT_EQ(Text("a\n  {%+ if true +%}\nb{% endif %}"), "a\n  \nb");
  EXPECT_EQ(Text("  {{ 1 }}\n{# c #}\n  x {# d -#} \n y"), "  1\n  x y");
  EXPECT_EQ(Text("a\r\nb{{- ' c ' -}} \n"), "a\nb c ");
}

TEST(ChatTemplate, WorkAndSizeAreBounded) {
  const auto exhausted = absl::StatusCode::kResourceExhausted;
  const std::string big = "{% set r = range(100000) %}";
  ExpectError(big + "{% for a in r %}{% for b in r %}{% endfor %}{% endfor %}", exhausted, "steps");
  ExpectError("{{ 'ab' * 99999999999 }}", exhausted, "too much text");
  ExpectError(big + "{% for a in r %}{{ 'x' * 10000 }}{% endfor %}", exhausted, "too much");
  ExpectError("{{ range(10000000) }}", exhausted, "range");
  ExpectError("{% set n = namespace(x='x') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
              exhausted, "");
  ExpectError("{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}",
              exhausted, "");
  ExpectError("{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = [n.x] %}{% endfor %}",
              exhausted, "nest");
  ExpectError("{{ ('a' * 9999999).replace('a', 'a' * 9999999) }}", exhausted, "");
  ExpectError("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", exhausted, "recurses");
  ExpectError("{% set n = namespace() %}{% set n.n = n %}", absl::StatusCode::kUnimplemented,
              "inside a namespace");
}

TEST(ChatTemplate, DeepNestingIsRefused) {
  const auto repeat = [](const std::string& unit, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) out += unit;
    return out;
  };
  constexpr int kDeep = 20000;
  for (const std::string& source :
       {"{{ " + repeat("(", kDeep) + "1" + repeat(")", kDeep) + " }}", "{{ " + repeat("not ", kDeep) + "1 }}",
        "{{ " + repeat("-", kDeep) + "1 }}", "{{ 1" + repeat(" + 1", kDeep) + " }}",
        "{{ x" + repeat(".a", kDeep) + " }}", "{{ x" + repeat("|trim", kDeep) + " }}",
        "{{ " + repeat("[", kDeep) + repeat("]", kDeep) + " }}",
        "{{ 1" + repeat(" if 1 else 1", kDeep) + " }}",
        repeat("{% if 1 %}", kDeep) + repeat("{% endif %}", kDeep)}) {
    EXPECT_EQ(ChatTemplate::Parse(source).status().code(), absl::StatusCode::kInvalidArgument)
        << source.substr(0, 20);
  }
  EXPECT_FALSE(ChatTemplate::Parse(std::string(2 << 20, 'x')).ok());
  EXPECT_TRUE(ChatTemplate::Parse("{{ " + repeat("(", 20) + "1" + repeat(")", 20) + " }}").ok());
}

}  // namespace
}  // namespace baton
