// baton-report: `./baton report`.

#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/report/report.h"

ABSL_FLAG(std::string, html, "", "write the page here (default: report.html beside the first record)");
ABSL_FLAG(bool, text, false, "print it as text and write no page, unless --html names one");

namespace baton::report {
namespace {

std::string Beside(const std::string& path) {
  const size_t slash = path.rfind('/');
  return absl::StrCat(slash == std::string::npos ? "" : path.substr(0, slash + 1), "report.html");
}

absl::Status Run(const std::vector<std::string>& paths) {
  if (paths.empty() || paths.size() > kMostRecords) {
    return absl::InvalidArgumentError(
        absl::StrCat("name 1 to ", kMostRecords, " run records (run.json): ./baton report --help"));
  }
  std::vector<load::RunRecord> records;
  for (const std::string& path : paths) {
    BATON_ASSIGN_OR_RETURN(load::RunRecord record, load::ReadRunRecord(path));
    records.push_back(std::move(record));
  }
  const bool text = absl::GetFlag(FLAGS_text);
  std::string html = absl::GetFlag(FLAGS_html);
  if (text) std::fputs(RenderText(records).c_str(), stdout);
  if (text && html.empty()) return absl::OkStatus();
  if (html.empty()) html = Beside(paths[0]);
  BATON_RETURN_IF_ERROR(WriteReport(records, html));
  std::fprintf(text ? stderr : stdout, "report: %s\n", html.c_str());
  return absl::OkStatus();
}

}  // namespace
}  // namespace baton::report

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("reports of run records; ./baton report --help teaches it");
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  const absl::Status status = baton::report::Run({rest.begin() + 1, rest.end()});
  if (status.ok()) return 0;
  std::fprintf(stderr, "baton-report: %s\n", std::string(status.message()).c_str());
  return 1;
}
