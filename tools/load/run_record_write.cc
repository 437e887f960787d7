#include "tools/load/json_text.h"
#include "tools/load/run_record.h"

namespace baton::load {
namespace {

void Write(const std::string& text, std::string& out) {
  AppendQuoted(text, out);
}
void Write(double number, std::string& out) {
  AppendNumber(number, out);
}
void Write(int64_t number, std::string& out) {
  AppendNumber(static_cast<double>(number), out);
}
void Write(std::optional<double> number, std::string& out) {
  AppendNumber(number, out);
}

void Write(const Bucket& bucket, std::string& out) {
  JsonMembers pair(out, '[', ']');
  AppendNumber(bucket.upper, pair.Next());
  AppendNumber(static_cast<double>(bucket.count), pair.Next());
}

void Write(const Spread& spread, std::string& out) {
  JsonMembers m(out, '{', '}');
  m.Number("count", static_cast<double>(spread.count));
  m.Number("mean", spread.mean);
  m.Number("p50", spread.p50);
  m.Number("p90", spread.p90);
  m.Number("p95", spread.p95);
  m.Number("p99", spread.p99);
  m.Number("p999", spread.p999);
  m.Number("max", spread.max);
}

void Write(const Summary& summary, std::string& out);
void Write(const Mark& mark, std::string& out);
void Write(const RunResult& run, std::string& out);
void Write(const Row& row, std::string& out);
void Write(const Check& check, std::string& out);

template <typename Value>
void Write(const std::vector<Value>& values, std::string& out) {
  JsonMembers array(out, '[', ']');
  for (const Value& value : values) Write(value, array.Next());
}

template <typename Value>
void Write(const std::map<std::string, Value>& values, std::string& out) {
  JsonMembers object(out, '{', '}');
  for (const auto& [key, value] : values) Write(value, object.Next(key));
}

void Write(const Summary& summary, std::string& out) {
  JsonMembers m(out, '{', '}');
  for (const auto& [key, spread] : summary.spreads) Write(spread, m.Next(key));
  m.Number("requests", static_cast<double>(summary.requests));
  m.Number("completed", static_cast<double>(summary.completed));
  m.Number("cancelled", static_cast<double>(summary.cancelled));
  m.Number("requests_per_s", summary.requests_per_s);
  m.Number("input_tokens_per_s", summary.input_tokens_per_s);
  m.Number("output_tokens_per_s", summary.output_tokens_per_s);
  m.Number("goodput_per_s", summary.goodput_per_s);
  m.Number("good_share", summary.good_share);
  Write(summary.errors, m.Next("errors"));
  Write(summary.slo, m.Next("slo"));
  if (!summary.tenants.empty()) Write(summary.tenants, m.Next("tenants"));
}

void Write(const Mark& mark, std::string& out) {
  JsonMembers m(out, '{', '}');
  m.Number("at_s", mark.at_s);
  m.Text("kind", mark.kind);
  m.Text("what", mark.what);
}

void Write(const Timeline& timeline, std::string& out) {
  JsonMembers m(out, '{', '}');
  m.Number("bin_s", timeline.bin_s);
  Write(timeline.series, m.Next("series"));
}

void Write(const RunResult& run, std::string& out) {
  JsonMembers m(out, '{', '}');
  m.Text("label", run.label);
  m.Number("rate", run.rate);
  m.Number("repeat", run.repeat);
  m.Number("duration_s", run.duration_s);
  Write(run.summary, m.Next("summary"));
  Write(run.histograms, m.Next("histograms"));
  Write(run.timeline, m.Next("timeline"));
  Write(run.marks, m.Next("marks"));
}

void Write(const Row& row, std::string& out) {
  JsonMembers m(out, '{', '}');
  m.Text("name", row.name);
  m.Number("value", row.value);
  m.Text("unit", row.unit);
  m.Text("peer", row.peer);
  m.Number("peer_value", row.peer_value);
  m.Number("ratio", row.ratio);
  m.Number("target", row.target);
}

void Write(const Check& check, std::string& out) {
  JsonMembers m(out, '{', '}');
  m.Text("name", check.name);
  m.Bool("ok", check.ok);
  m.Text("detail", check.detail);
}

}  // namespace

std::string ToJson(const RunRecord& record) {
  std::string out;
  {
    JsonMembers m(out, '{', '}');
    m.Text("format", kRunFormat);
    m.Text("name", record.name);
    m.Text("started", record.started);
    m.Text("machine", record.machine);
    m.Text("commit", record.commit);
    Write(record.versions, m.Next("versions"));
    Write(record.config, m.Next("config"));
    m.Bool("valid", record.valid);
    m.Text("invalid_why", record.invalid_why);
    m.Text("hypothesis", record.hypothesis);
    m.Bool("held", record.held);
    m.Bool("expected", record.expected);
    Write(record.rows, m.Next("rows"));
    Write(record.checks, m.Next("checks"));
    Write(record.runs, m.Next("runs"));
  }
  return out + "\n";
}

}  // namespace baton::load
