#include "tools/ctl/cluster_state.h"

#include <boost/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/ctl/files.h"

namespace baton::ctl {
namespace {

namespace json = boost::json;

json::object ToObject(const ProcessId& id) {
  return {{"pid", id.pid}, {"start_time", id.start_time}};
}

ProcessId ToProcessId(const json::value& value) {
  return {value.at("pid").to_number<pid_t>(), value.at("start_time").to_number<uint64_t>()};
}

std::string Text(const json::value& value, const char* key) {
  return json::value_to<std::string>(value.at(key));
}
int Number(const json::value& value, const char* key) {
  return value.at(key).to_number<int>();
}

// Boost.JSON's accessors throw; files written by another version, or cut, end here.
template <typename Result, typename Read>
absl::StatusOr<Result> Parse(const std::string& text, Read read) {
  try {
    return read(json::parse(text));
  } catch (const std::exception& error) {
    return absl::DataLossError(absl::StrCat("not a file of this version of Baton: ", error.what()));
  }
}

}  // namespace

std::string ToJson(const ClusterSpec& spec) {
  return json::serialize(json::object{{"name", spec.name},
                                      {"model", spec.model},
                                      {"bin_dir", spec.bin_dir},
                                      {"host", spec.host},
                                      {"port", spec.port},
                                      {"prefill", spec.prefill},
                                      {"decode", spec.decode},
                                      {"ranks", spec.ranks},
                                      {"threads", spec.threads},
                                      {"kv_pool_mb", spec.kv_pool_mb},
                                      {"kv_disk_mb", spec.kv_disk_mb},
                                      {"kv_disk_dir", spec.kv_disk_dir},
                                      {"worker_flags", json::value_from(spec.worker_flags)},
                                      {"router_flags", json::value_from(spec.router_flags)}});
}

absl::StatusOr<ClusterSpec> ParseSpec(const std::string& text) {
  return Parse<ClusterSpec>(text, [](const json::value& value) {
    ClusterSpec spec;
    spec.name = Text(value, "name");
    spec.model = Text(value, "model");
    spec.bin_dir = Text(value, "bin_dir");
    spec.host = Text(value, "host");
    spec.port = Number(value, "port");
    spec.prefill = Number(value, "prefill");
    spec.decode = Number(value, "decode");
    spec.ranks = Number(value, "ranks");
    spec.threads = Number(value, "threads");
    spec.kv_pool_mb = Number(value, "kv_pool_mb");
    spec.kv_disk_mb = Number(value, "kv_disk_mb");
    spec.kv_disk_dir = Text(value, "kv_disk_dir");
    spec.worker_flags = json::value_to<std::vector<std::string>>(value.at("worker_flags"));
    spec.router_flags = json::value_to<std::vector<std::string>>(value.at("router_flags"));
    return spec;
  });
}

std::string ToJson(const ClusterRecord& record) {
  json::array processes;
  for (const ProcessRecord& process : record.processes) {
    processes.push_back(json::object{{"name", process.name},
                                     {"role", process.role},
                                     {"id", ToObject(process.id)},
                                     {"restarts", process.restarts},
                                     {"state", process.state},
                                     {"last_exit", process.last_exit},
                                     {"grpc", process.grpc},
                                     {"http", process.http}});
  }
  return json::serialize(
      json::object{{"supervisor", ToObject(record.supervisor)}, {"processes", std::move(processes)}});
}

absl::StatusOr<ClusterRecord> ParseRecord(const std::string& text) {
  return Parse<ClusterRecord>(text, [](const json::value& value) {
    ClusterRecord record;
    record.supervisor = ToProcessId(value.at("supervisor"));
    for (const json::value& process : value.at("processes").as_array()) {
      record.processes.push_back({Text(process, "name"), Text(process, "role"), ToProcessId(process.at("id")),
                                  Number(process, "restarts"), Text(process, "state"),
                                  Text(process, "last_exit"), Text(process, "grpc"), Text(process, "http")});
    }
    return record;
  });
}

absl::StatusOr<Addresses> ParseAddresses(const std::string& text) {
  return Parse<Addresses>(text, [](const json::value& value) {
    Addresses addresses;
    if (value.as_object().contains("grpc")) addresses.grpc = Text(value, "grpc");
    if (value.as_object().contains("http")) addresses.http = Text(value, "http");
    return addresses;
  });
}

absl::StatusOr<ClusterRecord> ReadRecord(const ClusterFolder& folder) {
  BATON_ASSIGN_OR_RETURN(const std::string text, ReadFile(folder.Cluster()));
  return ParseRecord(text);
}

absl::StatusOr<std::string> RouterUrl(const ClusterRecord& record) {
  for (const ProcessRecord& process : record.processes) {
    if (process.role != "router" || process.http.empty()) continue;
    const size_t colon = process.http.rfind(':');
    const bool anywhere =
        absl::StartsWith(process.http, "0.0.0.0:") || absl::StartsWith(process.http, "[::]:");
    return absl::StrCat("http://", anywhere ? "127.0.0.1" + process.http.substr(colon) : process.http);
  }
  return absl::UnavailableError("the router has not reported its address yet");
}

}  // namespace baton::ctl
