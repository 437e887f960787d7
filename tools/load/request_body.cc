#include "tools/load/request_body.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "common/keyed_random.h"
#include "tools/load/json_text.h"

namespace baton::load {
namespace {

constexpr std::array<absl::string_view, 128> kWords = {
    "time",    "people",  "way",       "water",       "day",      "man",      "world",   "life",
    "hand",    "part",    "child",     "eye",         "woman",    "place",    "work",    "week",
    "case",    "point",   "company",   "number",      "group",    "problem",  "fact",    "night",
    "home",    "room",    "area",      "money",       "story",    "month",    "lot",     "right",
    "study",   "book",    "word",      "business",    "issue",    "side",     "kind",    "head",
    "house",   "service", "friend",    "father",      "power",    "hour",     "game",    "line",
    "end",     "member",  "law",       "car",         "city",     "name",     "team",    "minute",
    "idea",    "kid",     "body",      "information", "back",     "parent",   "face",    "level",
    "office",  "door",    "health",    "person",      "art",      "war",      "history", "party",
    "result",  "change",  "morning",   "reason",      "research", "girl",     "moment",  "air",
    "teacher", "force",   "education", "foot",        "boy",      "age",      "policy",  "music",
    "market",  "sense",   "nation",    "plan",        "college",  "interest", "death",   "experience",
    "effect",  "use",     "class",     "control",     "field",    "care",     "role",    "effort",
    "rate",    "heart",   "drug",      "show",        "leader",   "light",    "voice",   "wife",
    "police",  "mind",    "price",     "report",      "decision", "son",      "view",    "relationship",
    "town",    "road",    "arm",       "difference",  "value",    "building", "action",  "season"};

// Calls `use` with `count` random 32-bit numbers that follow from `key`.
template <typename Use>
void Draw(uint64_t key, int64_t count, Use use) {
  const std::array<uint32_t, 2> halves = {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)};
  for (int64_t i = 0; i < count; i += 4) {
    const auto block =
        Philox4x32({static_cast<uint32_t>(i), static_cast<uint32_t>(i >> 32), 0x70726f6d, 0}, halves);
    for (int64_t j = i; j < std::min(i + 4, count); ++j) use(block[j - i]);
  }
}

std::string Words(const std::vector<PromptPart>& parts) {
  std::string text;
  for (const PromptPart& part : parts) AppendWords(part, text);
  return text;
}

void AppendPrompt(const Conversation& conversation, const RequestStyle& style, std::string& out) {
  if (style.api == Api::kChat) {
    JsonMembers messages(out, '[', ']');
    for (const Conversation::Message& message : conversation.messages) {
      JsonMembers m(messages.Next(), '{', '}');
      m.Text("role", message.role);
      m.Text("content", message.content);
    }
  } else if (style.vocab > 0) {
    JsonMembers ids(out, '[', ']');
    for (const int32_t id : conversation.ids) absl::StrAppend(&ids.Next(), id);
  } else {
    std::string text;
    for (const Conversation::Message& message : conversation.messages) text += message.content;
    AppendQuoted(text, out);
  }
}

}  // namespace

void AppendWords(const PromptPart& part, std::string& out) {
  Draw(part.key, part.tokens,
       [&](uint32_t random) { absl::StrAppend(&out, " ", kWords[random % kWords.size()]); });
}

void AppendIds(const PromptPart& part, int64_t vocab, std::vector<int32_t>& out) {
  const int64_t least = std::min<int64_t>(256, vocab / 4);
  Draw(part.key, part.tokens, [&](uint32_t random) {
    out.push_back(static_cast<int32_t>(least + static_cast<int64_t>(random) % (vocab - least)));
  });
}

Conversation WithPrompt(Conversation before, const PlannedRequest& request, const RequestStyle& style) {
  const Prompt& prompt = request.prompt;
  if (style.api == Api::kCompletions && style.vocab > 0) {
    for (const auto* parts : {&prompt.system, &prompt.user}) {
      for (const PromptPart& part : *parts) AppendIds(part, style.vocab, before.ids);
    }
    return before;
  }
  if (!prompt.system.empty()) before.messages.push_back({"system", Words(prompt.system)});
  before.messages.push_back({"user", Words(prompt.user) + prompt.text});
  return before;
}

std::string RequestBody(const PlannedRequest& request, const Conversation& conversation,
                        const RequestStyle& style) {
  std::string out;
  {
    JsonMembers m(out, '{', '}');
    m.Text("model", style.model);
    AppendPrompt(conversation, style, m.Next(style.api == Api::kChat ? "messages" : "prompt"));
    m.Number("max_tokens", static_cast<double>(request.max_tokens));
    m.Number("temperature", request.temperature);
    absl::StrAppend(&m.Next("seed"), request.seed % (uint64_t{1} << 53));
    m.Bool("stream", true);
    m.Next("stream_options") += R"({"include_usage":true})";
    if (request.ignore_eos) m.Bool("ignore_eos", true);
    if (style.return_token_ids) m.Bool("return_token_ids", true);
    if (!request.tenant.empty()) m.Text("user", request.tenant);
    if (request.priority != 0) m.Number("priority", request.priority);
  }
  return out;
}

}  // namespace baton::load
