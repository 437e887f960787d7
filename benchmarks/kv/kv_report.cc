#include "benchmarks/kv/kv_report.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace baton {
namespace {

std::string Quoted(const std::string& text) {
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\"", "\\\""}}), "\"");
}

std::string Escaped(const std::string& text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}});
}

std::string Verdict(const KvRow& row) {
  if (row.target == 0) return "";
  return row.ratio >= row.target ? "met" : "missed";
}

}  // namespace

std::string MachineName() {
  std::ifstream in("/proc/cpuinfo");
  std::string line, model = "unknown CPU";
  while (std::getline(in, line)) {
    if (line.rfind("model name", 0) != 0) continue;
    model = line.substr(line.find(':') + 2);
    break;
  }
  utsname kernel = {};
  uname(&kernel);
  double load = 0;
  std::ifstream("/proc/loadavg") >> load;
  return absl::StrFormat("%s, %d cores, Linux %s, load average %.1f before", model,
                         sysconf(_SC_NPROCESSORS_ONLN), kernel.release, load);
}

std::string KvTable(const std::vector<KvRow>& rows) {
  std::string out;
  for (const KvRow& row : rows) {
    absl::StrAppendFormat(&out, "%-62s %10.3f %-8s", row.name, row.value, row.unit);
    if (!row.peer.empty()) absl::StrAppendFormat(&out, " %s: %.3f", row.peer, row.peer_value);
    if (row.ratio != 0) absl::StrAppendFormat(&out, ", ratio %.2f", row.ratio);
    if (row.target != 0) absl::StrAppendFormat(&out, " (%.2f asked: %s)", row.target, Verdict(row));
    out += '\n';
  }
  return out;
}

std::string KvJson(const std::vector<KvRow>& rows, const std::string& machine, const std::string& commit) {
  std::string out =
      absl::StrCat("{\"machine\": ", Quoted(machine), ", \"commit\": ", Quoted(commit), ", \"rows\": [");
  for (size_t i = 0; i < rows.size(); ++i) {
    const KvRow& row = rows[i];
    absl::StrAppendFormat(
        &out,
        "%s{\"name\": %s, \"value\": %.6g, \"unit\": %s, \"peer\": %s, \"peer_value\": %.6g, "
        "\"ratio\": %.4g, \"target\": %.4g}",
        i == 0 ? "\n  " : ",\n  ", Quoted(row.name), row.value, Quoted(row.unit), Quoted(row.peer),
        row.peer_value, row.ratio, row.target);
  }
  return out + "]}\n";
}

std::string KvHtml(const std::vector<KvRow>& rows, const std::string& machine, const std::string& commit) {
  std::string out = absl::StrCat(
      "<!doctype html><meta charset=utf-8><title>baton bench kv</title><style>body{font:14px "
      "sans-serif;margin:2em}"
      "td,th{padding:.2em .8em;text-align:left;border-bottom:1px solid #ddd}td.n{text-align:right}"
      ".met{color:#070}.missed{color:#b00}i{display:inline-block;height:.7em;background:#58a}</style>"
      "<h1>KV handoff</h1><p>",
      Escaped(machine), ", commit ", Escaped(commit),
      "</p><table><tr><th>what<th>value<th><th>beside, in the same run<th><th>ratio<th>asked<th>");
  for (const KvRow& row : rows) {
    absl::StrAppendFormat(&out,
                          "<tr><td>%s<td class=n>%.3f<td>%s<td>%s<td class=n>%s<td class=n>%s<td class=n>%s",
                          Escaped(row.name), row.value, Escaped(row.unit), Escaped(row.peer),
                          row.peer.empty() ? "" : absl::StrFormat("%.3f", row.peer_value),
                          row.ratio == 0 ? "" : absl::StrFormat("%.2f", row.ratio),
                          row.target == 0 ? "" : absl::StrFormat("%.2f", row.target));
    absl::StrAppendFormat(&out, "<td class=%s>%s <i style=width:%dpx></i>\n", Verdict(row), Verdict(row),
                          static_cast<int>(std::min(200.0, row.ratio * 80)));
  }
  return out + "</table>\n";
}

absl::Status WriteText(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::trunc);
  out << text;
  out.close();
  return out ? absl::OkStatus() : absl::UnavailableError(absl::StrCat("cannot write ", path));
}

}  // namespace baton
