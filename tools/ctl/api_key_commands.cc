#include "tools/ctl/api_key_commands.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status_macros.h"
#include "tools/ctl/arguments.h"
#include "tools/ctl/table.h"

namespace baton::ctl {
namespace {

using Verb = ApiKeysOptions::Verb;

absl::Status ReadCount(const Arguments& arguments, const std::string& name, uint64_t* out) {
  if (!arguments.Has(name) || absl::SimpleAtoi(arguments.Text(name, ""), out)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", name, " takes a whole number a minute"));
}

absl::StatusOr<ApiKeys> ReadOrNone(const std::string& file) {
  absl::StatusOr<ApiKeys> keys = ReadApiKeys(file);
  return absl::IsNotFound(keys.status()) ? ApiKeys() : keys;
}

std::string Limit(uint64_t a_minute) {
  return a_minute == 0 ? "-" : absl::StrCat(a_minute);
}

absl::Status Add(const ApiKeysOptions& options) {
  BATON_ASSIGN_OR_RETURN(ApiKeys keys, ReadOrNone(options.file));
  ApiKey key = options.key;
  const std::string text = MakeApiKey(key);
  keys.Add(key);
  BATON_RETURN_IF_ERROR(WriteApiKeys(options.file, keys));
  absl::FPrintF(stderr, "baton: added to %s for %s. The key is not kept anywhere: take it now\n",
                options.file, key.name);
  absl::PrintF("%s\n", text);
  return absl::OkStatus();
}

absl::Status List(const std::string& file) {
  BATON_ASSIGN_OR_RETURN(const ApiKeys keys, ReadApiKeys(file));
  std::vector<std::vector<std::string>> rows = {
      {"NAME", "ID", "TENANT", "PRIORITY", "WEIGHT", "REQUESTS/MIN", "TOKENS/MIN", "ADMIN"}};
  for (const ApiKey& key : keys.keys()) {
    rows.push_back({key.name, key.id.ToHex(), key.cache_tenant(), absl::StrCat(key.priority),
                    absl::StrCat(key.weight), Limit(key.requests_per_minute), Limit(key.tokens_per_minute),
                    key.admin ? "yes" : "no"});
  }
  absl::PrintF("%s", FormatTable(rows));
  return absl::OkStatus();
}

absl::Status Remove(const ApiKeysOptions& options) {
  BATON_ASSIGN_OR_RETURN(ApiKeys keys, ReadApiKeys(options.file));
  const size_t removed = keys.Remove(options.key.name);
  if (removed == 0)
    return absl::NotFoundError(absl::StrCat(options.file, " has no key of '", options.key.name, "'"));
  BATON_RETURN_IF_ERROR(WriteApiKeys(options.file, keys));
  absl::PrintF("baton: removed %d; routers refuse them within a second\n", removed);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ApiKeysOptions> ParseApiKeys(Words words) {
  BATON_ASSIGN_OR_RETURN(
      const Arguments arguments,
      Arguments::Parse(words, {"file", "tenant", "priority", "weight", "requests", "tokens"}, {"admin"}));
  const std::vector<std::string>& given = arguments.positional();
  ApiKeysOptions options;
  options.file = arguments.Text("file", "");
  if (options.file.empty()) return absl::InvalidArgumentError("--file FILE is wanted");
  const std::string verb = given.empty() ? "" : given[0];
  if (verb != "add" && verb != "list" && verb != "remove")
    return absl::InvalidArgumentError("one of add, list, remove is wanted after api");
  options.verb = verb == "add" ? Verb::kAdd : verb == "list" ? Verb::kList : Verb::kRemove;
  if (given.size() != (options.verb == Verb::kList ? 1 : 2))
    return absl::InvalidArgumentError(options.verb == Verb::kList ? "list takes no words"
                                                                  : "one NAME is wanted");
  if (options.verb == Verb::kList) return options;
  ApiKey& key = options.key;
  key.name = given[1];
  key.tenant = arguments.Text("tenant", "");
  key.admin = arguments.Has("admin");
  BATON_ASSIGN_OR_RETURN(key.priority, arguments.Number("priority", 0, 0, kMaxApiPriority));
  BATON_ASSIGN_OR_RETURN(const std::optional<double> weight, arguments.Real("weight"));
  key.weight = weight.value_or(1);
  BATON_RETURN_IF_ERROR(ReadCount(arguments, "requests", &key.requests_per_minute));
  BATON_RETURN_IF_ERROR(ReadCount(arguments, "tokens", &key.tokens_per_minute));
  BATON_RETURN_IF_ERROR(CheckApiKey(key));
  return options;
}

absl::Status ChangeApiKeys(const ApiKeysOptions& options) {
  switch (options.verb) {
    case Verb::kAdd:
      return Add(options);
    case Verb::kList:
      return List(options.file);
    case Verb::kRemove:
      return Remove(options);
  }
  return absl::InternalError("no such verb");
}

}  // namespace baton::ctl
