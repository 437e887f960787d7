#include "services/router/openai/parse.h"

#include <boost/json/array.hpp>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/router/openai/fields.h"
#include "services/router/openai/parse_prompt.h"

namespace baton::router {
namespace {

namespace json = boost::json;

constexpr uint32_t kMaxStops = 16;
constexpr size_t kMaxStopBytes = 1024;
constexpr size_t kMaxSaltBytes = 256;
constexpr size_t kMaxBiases = 1024;
constexpr uint32_t kMaxStreams = 128;
constexpr int64_t kMaxToken = INT32_MAX;

void ParseStop(Fields& fields, ApiRequest& out) {
  const json::value* stop = fields.Get("stop");
  if (stop == nullptr) return;
  const auto add = [&](const json::value& value) {
    if (!value.is_string())
      return fields.Fail("stop", "'stop' must be a string or a list of strings", "invalid_type");
    if (value.get_string().empty()) return;
    if (value.get_string().size() > kMaxStopBytes)
      return fields.Fail("stop", "a stop string is too long", "invalid_value");
    out.stop.emplace_back(value.get_string());
  };
  if (!stop->is_array()) return add(*stop);
  if (stop->get_array().size() > kMaxStops) {
    return fields.Fail("stop", absl::StrCat("at most ", kMaxStops, " stop strings"), "invalid_value");
  }
  for (const json::value& value : stop->get_array()) add(value);
}

void ParseStopTokens(Fields& fields, ApiRequest& out) {
  const json::value* ids = fields.Get("stop_token_ids");
  if (ids == nullptr) return;
  if (!ids->is_array() || ids->get_array().size() > kMaxStopTokens) {
    return fields.Fail(
        "stop_token_ids",
        absl::StrCat("'stop_token_ids' must be a list of at most ", kMaxStopTokens, " token ids"),
        "invalid_type");
  }
  for (const json::value& value : ids->get_array()) {
    const auto id = AsInteger(value, 0, kMaxToken);
    if (!id) return fields.Fail("stop_token_ids", "'stop_token_ids' must hold token ids", "invalid_value");
    out.stop_token_ids.push_back(static_cast<TokenId>(*id));
  }
}

void ParseCacheSalt(Fields& fields, ApiRequest& out) {
  if (fields.Get("cache_salt") == nullptr) return;
  out.cache_salt = fields.String("cache_salt");
  if (fields.error()) return;
  if (out.cache_salt.empty() || out.cache_salt.size() > kMaxSaltBytes) {
    fields.Fail("cache_salt", absl::StrCat("'cache_salt' must be a string of 1 to ", kMaxSaltBytes, " bytes"),
                "invalid_value");
  }
}

void ParseBias(Fields& fields, ApiRequest& out) {
  const json::value* bias = fields.Get("logit_bias");
  if (bias == nullptr) return;
  if (!bias->is_object() || bias->get_object().size() > kMaxBiases) {
    return fields.Fail("logit_bias",
                       absl::StrCat("'logit_bias' must map at most ", kMaxBiases, " token ids to numbers"),
                       "invalid_type");
  }
  for (const auto& entry : bias->get_object()) {
    int32_t token = 0;
    const absl::string_view key(entry.key().data(), entry.key().size());
    json::object single;
    single["logit_bias"] = entry.value();
    Fields value(single);
    const double number = value.Number("logit_bias", 0, -100, 100);
    if (!absl::SimpleAtoi(key, &token) || token < 0 || value.error() || entry.value().is_null()) {
      return fields.Fail("logit_bias", "'logit_bias' must map token ids to numbers from -100 to 100",
                         "invalid_value");
    }
    out.sampling.logit_bias.emplace_back(token, static_cast<float>(number));
  }
}

void ParseSampling(Fields& fields, ApiRequest& out) {
  SamplingSpec& sampling = out.sampling;
  sampling.temperature = static_cast<float>(fields.Number("temperature", 1, 0, 2));
  sampling.top_p = static_cast<float>(fields.Number("top_p", 1, 0, 1));
  sampling.min_p = static_cast<float>(fields.Number("min_p", 0, 0, 1));
  sampling.top_k =
      static_cast<int32_t>(std::max<int64_t>(0, fields.Integer("top_k", -1, kMaxToken).value_or(0)));
  sampling.presence_penalty = static_cast<float>(fields.Number("presence_penalty", 0, -2, 2));
  sampling.frequency_penalty = static_cast<float>(fields.Number("frequency_penalty", 0, -2, 2));
  sampling.repetition_penalty = static_cast<float>(fields.Number("repetition_penalty", 1, 0.01, 100));
  out.seed = fields.Seed("seed");
  ParseBias(fields, out);
}

void ParseLogprobs(Fields& fields, ApiRequest& out) {
  if (out.kind == ApiKind::kCompletion) {
    out.top_logprobs = static_cast<int32_t>(fields.Integer("logprobs", 0, 20).value_or(-1));
    return;
  }
  const auto top = fields.Integer("top_logprobs", 0, 20);
  if (fields.Bool("logprobs", false)) {
    out.top_logprobs = static_cast<int32_t>(top.value_or(0));
  } else if (top.value_or(0) > 0) {
    fields.Fail("top_logprobs", "'top_logprobs' needs 'logprobs' to be true", "invalid_value");
  }
}

void ParseStreaming(Fields& fields, ApiRequest& out) {
  out.stream = fields.Bool("stream", false);
  const json::value* options = fields.Get("stream_options");
  if (options == nullptr) return;
  if (!options->is_object())
    return fields.Fail("stream_options", "'stream_options' must be an object", "invalid_type");
  if (!out.stream)
    return fields.Fail("stream_options", "'stream_options' needs 'stream' to be true", "invalid_value");
  Fields inner(options->get_object());
  out.include_usage = inner.Bool("include_usage", false);
  if (inner.error()) fields.Fail("stream_options.include_usage", inner.error()->message, "invalid_type");
}

void ParseLengths(Fields& fields, const ParseLimits& limits, ApiRequest& out) {
  const auto old_name = fields.Integer("max_tokens", 1, kMaxToken);
  const auto new_name = fields.Integer("max_completion_tokens", 1, kMaxToken);
  if (const auto most = new_name ? new_name : old_name) out.max_tokens = static_cast<uint32_t>(*most);
  out.n = static_cast<uint32_t>(fields.Integer("n", 1, limits.max_choices).value_or(1));
  if (fields.Integer("best_of", 1, limits.max_choices).value_or(out.n) != out.n) {
    fields.Refuse("best_of", "'best_of' different from 'n'");
  }
}

// A list that holds something, and that `choice` does not turn off.
void RefuseTools(Fields& fields, const char* name, const char* choice) {
  const json::value* tools = fields.Get(name);
  if (tools == nullptr || (tools->is_array() && tools->get_array().empty())) return;
  const json::value* chosen = fields.Get(choice);
  if (chosen == nullptr || *chosen != json::value("none")) fields.Refuse(name, absl::StrCat("'", name, "'"));
}

void RefuseUnsupported(Fields& fields, ApiKind kind) {
  if (kind == ApiKind::kCompletion) {
    if (fields.Bool("echo", false)) fields.Refuse("echo", "'echo'");
    if (!fields.String("suffix").empty()) fields.Refuse("suffix", "'suffix'");
    return;
  }
  const json::value* choice = fields.Get("tool_choice");
  const bool named = choice != nullptr && (choice->is_object() || *choice == json::value("required"));
  if (named) fields.Refuse("tool_choice", "forcing a tool call");
  const json::value* function = fields.Get("function_call");
  if (function != nullptr && function->is_object()) fields.Refuse("function_call", "forcing a function call");
  RefuseTools(fields, "tools", "tool_choice");
  RefuseTools(fields, "functions", "function_call");
  if (fields.Get("audio") != nullptr) fields.Refuse("audio", "audio output");
  if (fields.Get("web_search_options") != nullptr) fields.Refuse("web_search_options", "web search");
  const json::value* format = fields.Get("response_format");
  if (format == nullptr) return;
  const json::value* type = format->is_object() ? format->get_object().if_contains("type") : nullptr;
  if (type == nullptr || !type->is_string()) {
    return fields.Fail("response_format", "'response_format' must be an object with a type", "invalid_type");
  }
  if (type->get_string() != "text") {
    fields.Refuse("response_format", absl::StrCat("response_format '", std::string(type->get_string()), "'"));
  }
}

}  // namespace

std::optional<ApiError> ParseRequest(ApiKind kind, absl::string_view body, const ParseLimits& limits,
                                     ApiRequest& out) {
  json::monotonic_resource memory;
  json::parse_options options;
  options.max_depth = limits.max_depth;
  json::error_code error;
  const json::value root = json::parse({body.data(), body.size()}, error, &memory, options);
  if (error)
    return InvalidRequest(absl::StrCat("the body is not JSON: ", error.message()), "", "invalid_json");
  if (!root.is_object()) return InvalidRequest("the body must be a JSON object", "", "invalid_json");

  Fields fields(root.get_object());
  out = ApiRequest{.kind = kind};
  out.model = fields.String("model");
  RefuseUnsupported(fields, kind);
  ParseLengths(fields, limits, out);
  ParseStreaming(fields, out);
  ParseStop(fields, out);
  ParseStopTokens(fields, out);
  ParseSampling(fields, out);
  ParseLogprobs(fields, out);
  ParseCacheSalt(fields, out);
  out.ignore_eos = fields.Bool("ignore_eos", false);
  out.return_token_ids = fields.Bool("return_token_ids", false);
  if (kind == ApiKind::kChat) {
    ParseMessages(fields, limits, out);
  } else {
    ParsePrompts(fields, limits, out);
    if (out.prompts.size() * out.n > kMaxStreams)
      fields.Fail("n", "too many prompts times choices", "invalid_value");
  }
  return fields.error();
}

}  // namespace baton::router
