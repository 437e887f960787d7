#include "engine/text/pre_tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/status_macros.h"
#include "engine/text/utf8.h"

namespace baton {
namespace {

// White_Space exactly; PCRE2's \s also holds U+180E.
constexpr absl::string_view kSpace =
    R"(\x09-\x0d\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

// Letters that Unicode 15 and 16 added; PCRE2 10.42 knows Unicode 14.
constexpr absl::string_view kLetter =
    R"(\p{L}\x{1C89}-\x{1C8A}\x{A7CB}-\x{A7CD}\x{A7DA}-\x{A7DC}\x{105C0}-\x{105F3}\x{10D4A}-\x{10D65})"
    R"(\x{10D6F}-\x{10D85}\x{10EC2}-\x{10EC4}\x{1123F}-\x{11240}\x{11380}-\x{11389}\x{1138B}\x{1138E})"
    R"(\x{11390}-\x{113B5}\x{113B7}\x{113D1}\x{113D3}\x{11BC0}-\x{11BE0}\x{11F02}\x{11F04}-\x{11F10})"
    R"(\x{11F12}-\x{11F33}\x{1342F}\x{13441}-\x{13446}\x{13460}-\x{143FA}\x{16100}-\x{1611D}\x{16D40}-\x{16D6C})"
    R"(\x{18CFF}\x{1B132}\x{1B155}\x{1DF25}-\x{1DF2A}\x{1E030}-\x{1E06D}\x{1E4D0}-\x{1E4EB}\x{1E5D0}-\x{1E5ED})"
    R"(\x{1E5F0}\x{2B739}\x{2EBF0}-\x{2EE5D}\x{31350}-\x{323AF})";

constexpr absl::string_view kNumber =
    R"(\p{N}\x{10D40}-\x{10D49}\x{116D0}-\x{116E3}\x{11BF0}-\x{11BF9}\x{11F50}-\x{11F59}\x{16130}-\x{16139})"
    R"(\x{16D70}-\x{16D79}\x{1CCF0}-\x{1CCF9}\x{1D2C0}-\x{1D2D3}\x{1E4F0}-\x{1E4F9}\x{1E5F1}-\x{1E5FA})";

// `tokenizers` takes digits from Rust's own tables, which are of Unicode 17.
constexpr absl::string_view kNumberOfDigits = R"(\x{11DE0}-\x{11DE9}\x{16FF4}-\x{16FF6})";

// In these, S, L and N inside <> stand for the three classes above.
constexpr absl::string_view kSingleDigit = "[<N><D>]";
constexpr absl::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?[<L>]+| ?[<N>]+| ?[^<S><L><N>]+|[<S>]+(?![^<S>])|[<S>]+)";
constexpr absl::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n<L><N>]?[<L>]+|[<N>]{1,3}| ?[^<S><L><N>]+[\r\n]*)"
    R"(|[<S>]*[\r\n]+|[<S>]+(?![^<S>])|[<S>]+)";
constexpr absl::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n<L><N>]?[<L>]+|[<N>]| ?[^<S><L><N>]+[\r\n]*)"
    R"(|[<S>]*[\r\n]+|[<S>]+(?![^<S>])|[<S>]+)";

constexpr char kSymbolStandIn = '\x01';  // one byte that is neither space, letter nor number

constexpr uint32_t kMatchLimit = 50'000'000;

struct CodeDeleter {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct MatchDeleter {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct ContextDeleter {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
using Code = std::unique_ptr<pcre2_code, CodeDeleter>;

absl::StatusOr<Code> Compile(absl::string_view pattern) {
  const std::string full = absl::StrReplaceAll(
      pattern, {{"<S>", kSpace}, {"<L>", kLetter}, {"<N>", kNumber}, {"<D>", kNumberOfDigits}});
  int error = 0;
  PCRE2_SIZE offset = 0;
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(full.data()), full.size(), PCRE2_UTF | PCRE2_UCP,
                          &error, &offset, nullptr));
  if (code == nullptr)
    return absl::InternalError(absl::StrCat("PCRE2 error ", error, " at ", offset, " of ", full));
  // Without JIT (a build or a kernel that forbids it) matching is slower and gives the same words.
  (void)pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  return code;
}

std::string WithStandIns(absl::string_view text) {
  std::string shadow(text);
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = NextUtf8(text.substr(at));
    if (step.kind != Utf8Kind::kValid) std::fill_n(shadow.begin() + at, step.length, kSymbolStandIn);
    at += step.length;
  }
  return shadow;
}

struct Range {
  size_t begin;
  size_t end;
};

// Appends the matches in text[piece], and what lies between them, in order.
bool CutByMatches(const pcre2_code* code, pcre2_match_data* data, pcre2_match_context* context,
                  absl::string_view text, Range piece, std::vector<Range>* out) {
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data() + piece.begin);
  const size_t length = piece.end - piece.begin;
  size_t at = 0;
  while (at < length) {
    const int found = pcre2_match(code, subject, length, at, PCRE2_NO_UTF_CHECK, data, context);
    if (found < 0) {
      out->push_back({piece.begin + at, piece.end});
      return found == PCRE2_ERROR_NOMATCH;
    }
    const PCRE2_SIZE* match = pcre2_get_ovector_pointer(data);
    if (match[0] > at) out->push_back({piece.begin + at, piece.begin + match[0]});
    out->push_back({piece.begin + match[0], piece.begin + match[1]});
    at = match[1];
  }
  return true;
}

}  // namespace

struct PreTokenizer::Impl {
  std::vector<Code> stages;  // each cuts the pieces of the one before
  bool whole_words_first = false;
  bool adds_bos_by_default = false;
};

PreTokenizer::PreTokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;
PreTokenizer& PreTokenizer::operator=(PreTokenizer&&) noexcept = default;
PreTokenizer::~PreTokenizer() = default;

absl::StatusOr<PreTokenizer> PreTokenizer::Create(absl::string_view name) {
  std::vector<absl::string_view> patterns;
  auto impl = std::make_unique<Impl>();
  if (name == "smollm") {
    patterns = {kSingleDigit, kGpt2};
  } else if (name == "gpt-2" || name == "default") {
    patterns = {kGpt2};
  } else if (name == "llama-bpe") {
    patterns = {kLlama3};
    impl->whole_words_first = true;
    impl->adds_bos_by_default = true;
  } else if (name == "qwen2") {
    patterns = {kQwen2};
  } else {
    return absl::UnimplementedError(absl::StrCat(
        "pre-tokenizer '", name, "' is not supported (only smollm, gpt-2, default, llama-bpe, qwen2)"));
  }
  for (const absl::string_view pattern : patterns) {
    BATON_ASSIGN_OR_RETURN(Code code, Compile(pattern));
    impl->stages.push_back(std::move(code));
  }
  return PreTokenizer(std::move(impl));
}

bool PreTokenizer::Split(absl::string_view text, std::vector<absl::string_view>* words) const {
  if (text.empty()) return true;
  std::string shadow;
  absl::string_view subject = text;
  if (!IsValidUtf8(text)) {
    shadow = WithStandIns(text);
    subject = shadow;
  }
  std::unique_ptr<pcre2_match_context, ContextDeleter> context(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(context.get(), kMatchLimit);
  std::vector<Range> pieces = {{0, text.size()}};
  bool complete = true;
  for (const Code& stage : impl_->stages) {
    std::unique_ptr<pcre2_match_data, MatchDeleter> data(
        pcre2_match_data_create_from_pattern(stage.get(), nullptr));
    std::vector<Range> cut;
    cut.reserve(text.size() / 4 + 1);
    for (const Range piece : pieces) {
      complete &= CutByMatches(stage.get(), data.get(), context.get(), subject, piece, &cut);
    }
    pieces = std::move(cut);
  }
  words->reserve(words->size() + pieces.size());
  for (const Range piece : pieces) words->push_back(text.substr(piece.begin, piece.end - piece.begin));
  return complete;
}

bool PreTokenizer::whole_words_first() const {
  return impl_->whole_words_first;
}
bool PreTokenizer::adds_bos_by_default() const {
  return impl_->adds_bos_by_default;
}

}  // namespace baton
