#include "tools/ctl/status_table.h"

#include <boost/json.hpp>

#include "absl/strings/str_cat.h"

namespace baton::ctl {
namespace {

namespace json = boost::json;

const json::object* Object(const json::value* value) {
  return value == nullptr ? nullptr : value->if_object();
}

const json::array* Array(const json::object* object, const char* key) {
  const json::value* value = object == nullptr ? nullptr : object->if_contains(key);
  return value == nullptr ? nullptr : value->if_array();
}

std::string Cell(const json::object* object, const char* key) {
  const json::value* value = object == nullptr ? nullptr : object->if_contains(key);
  if (value == nullptr || !(value->is_int64() || value->is_uint64())) return "-";
  return json::serialize(*value);
}

bool IsTrue(const json::object* object, const char* key) {
  const json::value* value = object == nullptr ? nullptr : object->if_contains(key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

const json::object* FindWorker(const json::array* workers, const std::string& name) {
  if (workers == nullptr) return nullptr;
  for (const json::value& worker : *workers) {
    const json::object* object = worker.if_object();
    const json::value* found = object == nullptr ? nullptr : object->if_contains("name");
    if (found != nullptr && found->is_string() && found->get_string() == name) return object;
  }
  return nullptr;
}

// The value of one sample in Prometheus' text format.
std::string Sample(const std::string& metrics, const std::string& name) {
  const size_t at = metrics.find(absl::StrCat("\n", name, " "));
  if (at == std::string::npos) return "-";
  const size_t begin = at + name.size() + 2;
  return metrics.substr(begin, metrics.find('\n', begin) - begin);
}

// Its handoffs as what runs, and its pages, of which "filling" are those being pulled.
void AppendPoolCells(const std::string& metrics, std::vector<std::string>* row) {
  const auto pages = [&](const char* page_class) {
    return Sample(metrics, absl::StrCat("baton_pool_pages{class=\"", page_class, "\"}"));
  };
  for (const std::string& cell : {std::string("-"), Sample(metrics, "baton_pool_moves"), std::string("-"),
                                  std::string("-"), pages("free"), std::string("-"), pages("cached"),
                                  pages("pinned"), pages("filling"), pages("quarantined")}) {
    row->push_back(cell);
  }
}

std::string Health(const ProcessRecord& process, const json::object* worker) {
  if (process.state != "running") return process.state;
  if (process.role == "kv") return process.http.empty() ? "starting" : "running";
  if (process.role == "router") return process.http.empty() ? "starting" : "running";
  if (worker == nullptr) return process.http.empty() ? "starting" : "unseen";
  if (IsTrue(worker, "draining")) return "draining";
  return IsTrue(worker, "healthy") ? "healthy" : "unhealthy";
}

}  // namespace

std::vector<std::vector<std::string>> StatusRows(const ClusterRecord& record,
                                                 const std::string& router_status,
                                                 const std::string& pool_metrics) {
  std::vector<std::vector<std::string>> rows = {{"PROCESS", "ROLE", "PID", "HEALTH", "RESTARTS", "RANK",
                                                 "RUNNING", "WAITING", "BACKLOG", "FREE", "USED", "CACHED",
                                                 "PINNED", "PULLING", "QUARANTINED"}};
  json::error_code error;
  const json::value status = json::parse(router_status, error);
  const json::array* workers = error ? nullptr : Array(Object(&status), "workers");
  for (const ProcessRecord& process : record.processes) {
    const json::object* worker = FindWorker(workers, process.name);
    const std::vector<std::string> head = {process.name, process.role,
                                           process.id.pid == 0 ? "-" : absl::StrCat(process.id.pid),
                                           Health(process, worker), absl::StrCat(process.restarts)};
    if (process.role == "kv") {
      AppendPoolCells(pool_metrics, &rows.emplace_back(head));
      continue;
    }
    const json::array* ranks = Array(worker, "ranks");
    const size_t count = ranks == nullptr || ranks->empty() ? 1 : ranks->size();
    for (size_t i = 0; i < count; ++i) {
      const json::object* rank = ranks == nullptr || ranks->empty() ? nullptr : (*ranks)[i].if_object();
      const json::object* pages = rank == nullptr ? nullptr : Object(rank->if_contains("pages"));
      std::vector<std::string> row = head;
      for (const char* key : {"rank", "running", "waiting", "backlog_tokens"}) row.push_back(Cell(rank, key));
      for (const char* key : {"free", "used", "cached", "pinned", "pulling", "quarantined"})
        row.push_back(Cell(pages, key));
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

ClusterRecord ReportedBy(const std::string& router_status) {
  json::error_code error;
  const json::value status = json::parse(router_status, error);
  const json::array* workers = error ? nullptr : Array(Object(&status), "workers");
  ClusterRecord record;
  if (workers == nullptr) return record;
  for (const json::value& worker : *workers) {
    ProcessRecord& process = record.processes.emplace_back();
    process.state = "running";
    for (const auto& [key, text] : {std::pair("name", &process.name), std::pair("role", &process.role)}) {
      const json::value* value = worker.is_object() ? worker.get_object().if_contains(key) : nullptr;
      *text = value != nullptr && value->is_string() ? json::value_to<std::string>(*value) : "-";
    }
  }
  return record;
}

}  // namespace baton::ctl
