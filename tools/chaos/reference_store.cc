#include "tools/chaos/reference_store.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "tools/chaos/reference_key.h"
#include "tools/ctl/files.h"

namespace baton::chaos {
namespace {

constexpr char kFormat[] = "baton-reference-1";
constexpr char kEnding[] = ".reference";
constexpr size_t kMostFiles = 100;

// "3 length 17 4 99"
std::string LineOf(const StreamRecord& stream) {
  return absl::StrCat(stream.index, " ", stream.finish_reason, stream.tokens.empty() ? "" : " ",
                      absl::StrJoin(stream.tokens, " "), "\n");
}

bool ReadLine(absl::string_view line, StreamRecord* stream) {
  const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
  if (words.size() < 2 || !absl::SimpleAtoi(words[0], &stream->index)) return false;
  stream->finish_reason = std::string(words[1]);
  for (size_t i = 2; i < words.size(); ++i) {
    int32_t token = 0;
    if (!absl::SimpleAtoi(words[i], &token)) return false;
    stream->tokens.push_back(token);
  }
  return true;
}

}  // namespace

std::string ReferenceStore::PathOf(const std::string& key) const {
  return absl::StrCat(folder_, "/", key, kEnding);
}

absl::StatusOr<std::vector<StreamRecord>> ReferenceStore::Load(const std::string& key) const {
  if (folder_.empty()) return absl::NotFoundError("no references are kept");
  BATON_ASSIGN_OR_RETURN(const std::string text, ctl::ReadFile(PathOf(key)));
  const auto damaged = [&](absl::string_view what) {
    return absl::DataLossError(absl::StrCat(PathOf(key), ": ", what));
  };
  // The last line is the digest of what is before it.
  const size_t last = text.rfind('\n', text.empty() ? 0 : text.size() - 2);
  if (last == std::string::npos) return damaged("it is not whole");
  const absl::string_view body = absl::string_view(text).substr(0, last + 1);
  if (text.substr(last + 1) != absl::StrCat(DigestOf(body), "\n")) return damaged("its checksum is wrong");
  std::vector<absl::string_view> lines = absl::StrSplit(body, '\n', absl::SkipEmpty());
  if (lines.empty() || lines[0] != absl::StrCat(kFormat, " ", key)) return damaged("it is another's");
  std::vector<StreamRecord> streams(lines.size() - 1);
  for (size_t i = 0; i < streams.size(); ++i) {
    if (!ReadLine(lines[i + 1], &streams[i]) || streams[i].index != i) return damaged("it makes no sense");
  }
  return streams;
}

absl::Status ReferenceStore::Keep(const std::string& key, const std::vector<StreamRecord>& streams) const {
  if (folder_.empty()) return absl::OkStatus();
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot make ", folder_, ": ", error.message()));
  std::string text = absl::StrCat(kFormat, " ", key, "\n");
  for (const StreamRecord& stream : streams) text += LineOf(stream);
  absl::StrAppend(&text, DigestOf(text), "\n");
  BATON_RETURN_IF_ERROR(ctl::WriteFileAtomically(PathOf(key), text));
  RemoveOldest();
  return absl::OkStatus();
}

void ReferenceStore::RemoveOldest() const {
  std::error_code error;
  std::vector<std::pair<std::filesystem::file_time_type, std::filesystem::path>> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    if (absl::EndsWith(entry.path().string(), kEnding))
      files.emplace_back(entry.last_write_time(error), entry.path());
  }
  std::sort(files.begin(), files.end());
  for (size_t i = 0; i + kMostFiles < files.size(); ++i) std::filesystem::remove(files[i].second, error);
}

}  // namespace baton::chaos
