#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine/text/bpe.h"
#include "engine/text/byte_alphabet.h"
#include "engine/text/pre_tokenizer.h"
#include "engine/text/special_matcher.h"
#include "engine/text/tokenizer.h"

namespace baton {
namespace {

// tokenizer.ggml.token_type (llama.cpp's llama_token_type).
enum class TokenType : uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

// Control tokens that end a turn or a text, in the families that this project serves.
constexpr std::array<absl::string_view, 7> kEndTexts = {
    "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|end|>", "</s>"};

constexpr size_t kMaxVocabulary = 1 << 22;

// User-defined tokens are matched in any text and shown; control tokens are matched only when asked, and
// hidden.
class GgufTokenizer final : public Tokenizer {
 public:
  explicit GgufTokenizer(PreTokenizer pre_tokenizer) : pre_tokenizer_(std::move(pre_tokenizer)) {}

  absl::Status Load(const GgufFile& file) {
    BATON_RETURN_IF_ERROR(LoadVocabulary(file));
    BATON_RETURN_IF_ERROR(LoadMerges(file));
    return LoadEnds(file);
  }

  std::vector<TokenId> Encode(absl::string_view text, bool parse_special) const override {
    const SpecialMatcher& matcher = parse_special ? all_specials_ : user_defined_;
    std::vector<TokenId> out;
    out.reserve(text.size() / 3 + 1);
    size_t at = 0;
    while (at < text.size()) {
      SpecialMatcher::Match match = {text.size(), 0, -1};
      if (!matcher.empty()) match = matcher.Find(text, at);
      EncodeOrdinary(text.substr(at, match.begin - at), &out);
      if (match.length > 0) out.push_back(match.id);
      at = match.begin + match.length;
    }
    return out;
  }

  std::string Decode(absl::Span<const TokenId> tokens, bool keep_special) const override {
    std::string out;
    for (const TokenId id : tokens) {
      if (InRange(id) && (keep_special || !IsSpecial(id))) out += bytes_[id];
    }
    return out;
  }

  int vocab_size() const override { return static_cast<int>(bytes_.size()); }
  bool IsSpecial(TokenId id) const override {
    return InRange(id) && (types_[id] == TokenType::kControl || types_[id] == TokenType::kUnknown);
  }
  std::string TokenBytes(TokenId id) const override { return InRange(id) ? bytes_[id] : std::string(); }
  const std::vector<TokenId>& eos_tokens() const override { return eos_tokens_; }
  bool add_bos() const override { return add_bos_; }
  TokenId bos_token() const override { return bos_; }
  absl::string_view bos_text() const override { return InRange(bos_) ? absl::string_view(bytes_[bos_]) : ""; }
  absl::string_view eos_text() const override { return InRange(eos_) ? absl::string_view(bytes_[eos_]) : ""; }

 private:
  bool InRange(TokenId id) const { return id >= 0 && static_cast<size_t>(id) < bytes_.size(); }

  void EncodeOrdinary(absl::string_view text, std::vector<TokenId>* out) const {
    std::vector<absl::string_view> words;
    pre_tokenizer_.Split(text, &words);
    for (const absl::string_view word : words) {
      if (pre_tokenizer_.whole_words_first()) {
        const auto found = whole_words_.find(word);
        if (found != whole_words_.end()) {
          out->push_back(found->second);
          continue;
        }
      }
      merger_.Encode(word, out);
    }
  }

  absl::Status LoadTypes(const GgufFile& file, size_t count) {
    types_.assign(count, TokenType::kNormal);
    if (!file.Has("tokenizer.ggml.token_type")) return absl::OkStatus();
    BATON_ASSIGN_OR_RETURN(const std::vector<int64_t> raw, file.GetInts("tokenizer.ggml.token_type"));
    if (raw.size() != count) {
      return absl::InvalidArgumentError(
          absl::StrCat("tokenizer.ggml.token_type has ", raw.size(), " entries for ", count, " tokens"));
    }
    for (size_t i = 0; i < count; ++i) {
      if (raw[i] < 1 || raw[i] > 6) {
        return absl::InvalidArgumentError(absl::StrCat("token ", i, " has unknown type ", raw[i]));
      }
      types_[i] = static_cast<TokenType>(raw[i]);
    }
    return absl::OkStatus();
  }

  absl::Status LoadVocabulary(const GgufFile& file) {
    BATON_ASSIGN_OR_RETURN(const std::vector<absl::string_view> texts,
                           file.GetStrings("tokenizer.ggml.tokens"));
    if (texts.empty() || texts.size() > kMaxVocabulary) {
      return absl::InvalidArgumentError(absl::StrCat("tokenizer.ggml.tokens has ", texts.size(), " entries"));
    }
    BATON_RETURN_IF_ERROR(LoadTypes(file, texts.size()));
    bytes_.reserve(texts.size());
    for (size_t i = 0; i < texts.size(); ++i) LoadToken(static_cast<TokenId>(i), texts[i]);
    return absl::OkStatus();
  }

  void LoadToken(TokenId id, absl::string_view text) {
    ids_.emplace(text, id);
    if (types_[id] != TokenType::kNormal) {
      bytes_.emplace_back(text);
      if (types_[id] == TokenType::kUserDefined) user_defined_.Add(text, id);
      if (types_[id] == TokenType::kUserDefined || IsSpecial(id)) all_specials_.Add(text, id);
      return;
    }
    bytes_.push_back(AlphabetToBytes(text).value_or(std::string(text)));
    if (bytes_.back().size() == 1) merger_.SetByteToken(static_cast<uint8_t>(bytes_.back()[0]), id);
    if (pre_tokenizer_.whole_words_first()) whole_words_.emplace(bytes_.back(), id);
  }

  absl::Status LoadMerges(const GgufFile& file) {
    if (!file.Has("tokenizer.ggml.merges")) return absl::OkStatus();
    BATON_ASSIGN_OR_RETURN(const std::vector<absl::string_view> merges,
                           file.GetStrings("tokenizer.ggml.merges"));
    for (size_t i = 0; i < merges.size(); ++i) {
      const size_t space = merges[i].find(' ');
      if (space == absl::string_view::npos) {
        return absl::InvalidArgumentError(absl::StrCat("merge ", i, " is not two tokens"));
      }
      const absl::string_view left = merges[i].substr(0, space);
      const absl::string_view right = merges[i].substr(space + 1);
      const auto left_id = ids_.find(left);
      const auto right_id = ids_.find(right);
      const auto merged_id = ids_.find(absl::StrCat(left, right));
      if (left_id == ids_.end() || right_id == ids_.end() || merged_id == ids_.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat("merge ", i, " names a token that the vocabulary lacks"));
      }
      merger_.AddMerge(left_id->second, right_id->second, merged_id->second);
    }
    ids_.clear();
    return absl::OkStatus();
  }

  absl::StatusOr<TokenId> OptionalId(const GgufFile& file, absl::string_view key) const {
    if (!file.Has(key)) return -1;
    BATON_ASSIGN_OR_RETURN(const int64_t id, file.GetInt(key));
    if (id < 0 || id >= static_cast<int64_t>(bytes_.size())) {
      return absl::InvalidArgumentError(absl::StrCat(key, " ", id, " is outside the vocabulary"));
    }
    return static_cast<TokenId>(id);
  }

  absl::Status LoadEnds(const GgufFile& file) {
    BATON_ASSIGN_OR_RETURN(bos_, OptionalId(file, "tokenizer.ggml.bos_token_id"));
    BATON_ASSIGN_OR_RETURN(eos_, OptionalId(file, "tokenizer.ggml.eos_token_id"));
    BATON_ASSIGN_OR_RETURN(const TokenId eot, OptionalId(file, "tokenizer.ggml.eot_token_id"));
    BATON_ASSIGN_OR_RETURN(const TokenId eom, OptionalId(file, "tokenizer.ggml.eom_token_id"));
    for (const TokenId id : {eos_, eot, eom}) AddEnd(id);
    for (size_t i = 0; i < bytes_.size(); ++i) {
      if (types_[i] != TokenType::kControl) continue;
      const bool is_end = std::find(kEndTexts.begin(), kEndTexts.end(), bytes_[i]) != kEndTexts.end();
      if (is_end) AddEnd(static_cast<TokenId>(i));
    }
    add_bos_ = pre_tokenizer_.adds_bos_by_default() && bos_ >= 0;
    if (file.Has("tokenizer.ggml.add_bos_token")) {
      BATON_ASSIGN_OR_RETURN(add_bos_, file.GetBool("tokenizer.ggml.add_bos_token"));
    }
    if (add_bos_ && bos_ < 0)
      return absl::InvalidArgumentError("add_bos_token is set, but there is no bos_token_id");
    return absl::OkStatus();
  }

  void AddEnd(TokenId id) {
    const bool known = std::find(eos_tokens_.begin(), eos_tokens_.end(), id) != eos_tokens_.end();
    if (id >= 0 && !known) eos_tokens_.push_back(id);
  }

  PreTokenizer pre_tokenizer_;
  BpeMerger merger_;
  SpecialMatcher all_specials_;
  SpecialMatcher user_defined_;
  std::vector<std::string> bytes_;
  std::vector<TokenType> types_;
  absl::flat_hash_map<std::string, TokenId> ids_;          // as the file writes them; only while loading
  absl::flat_hash_map<std::string, TokenId> whole_words_;  // by bytes; empty unless the family needs it
  std::vector<TokenId> eos_tokens_;
  bool add_bos_ = false;
  TokenId bos_ = -1;
  TokenId eos_ = -1;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::FromGguf(const GgufFile& file) {
  BATON_ASSIGN_OR_RETURN(const absl::string_view model, file.GetString("tokenizer.ggml.model"));
  if (model != "gpt2") {
    return absl::UnimplementedError(
        absl::StrCat("tokenizer model '", model, "' is not supported (only gpt2, byte-level BPE)"));
  }
  absl::string_view pre = "default";
  if (file.Has("tokenizer.ggml.pre")) {
    BATON_ASSIGN_OR_RETURN(pre, file.GetString("tokenizer.ggml.pre"));
  }
  BATON_ASSIGN_OR_RETURN(PreTokenizer pre_tokenizer, PreTokenizer::Create(pre));
  auto tokenizer = std::make_unique<GgufTokenizer>(std::move(pre_tokenizer));
  BATON_RETURN_IF_ERROR(tokenizer->Load(file));
  return tokenizer;
}

}  // namespace baton
