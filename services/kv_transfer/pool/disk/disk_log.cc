#include "services/kv_transfer/pool/disk/disk_log.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/checksum.h"
#include "common/status_macros.h"

namespace baton::pool {
namespace {

constexpr char kIdName[] = "pool.id";
constexpr absl::string_view kSuffix = ".kvseg";
constexpr size_t kMostOpenFiles = 64;

struct IdFile {
  Id128 id;
  uint64_t checksum;
};

uint64_t SumOf(const Id128& id) {
  return Checksum64({reinterpret_cast<const std::byte*>(&id), sizeof(id)});
}

std::string NameOf(uint64_t segment) {
  return absl::StrCat(absl::StrFormat("%016x", segment), kSuffix);
}

std::optional<uint64_t> SegmentOf(absl::string_view name) {
  uint64_t segment = 0;
  if (!absl::ConsumeSuffix(&name, kSuffix) || name.size() != 16 || !absl::SimpleHexAtoi(name, &segment) ||
      segment == 0 || segment >= uint64_t{1} << 62) {
    return std::nullopt;
  }
  return segment;
}

absl::StatusOr<Id128> PoolId(DiskFolder* folder, const std::function<Id128()>& new_id) {
  BATON_ASSIGN_OR_RETURN(const std::unique_ptr<DiskFile> file, folder->Open(kIdName, true));
  IdFile content{};
  BATON_ASSIGN_OR_RETURN(const size_t n,
                         file->Read(0, {reinterpret_cast<std::byte*>(&content), sizeof(content)}));
  if (n == sizeof(content) && !content.id.empty() && content.checksum == SumOf(content.id)) return content.id;
  content.id = new_id();
  content.checksum = SumOf(content.id);
  BATON_RETURN_IF_ERROR(file->Write(0, {reinterpret_cast<const std::byte*>(&content), sizeof(content)}));
  BATON_RETURN_IF_ERROR(file->Sync());
  BATON_RETURN_IF_ERROR(folder->Sync());
  return content.id;
}

}  // namespace

absl::StatusOr<DiskLog> DiskLog::Open(std::unique_ptr<DiskFolder> folder, const DiskSpace& space,
                                      const std::function<Id128()>& new_id) {
  DiskSpace with_id = space;
  BATON_ASSIGN_OR_RETURN(with_id.pool, PoolId(folder.get(), new_id));
  return DiskLog(std::move(folder), with_id);
}

absl::StatusOr<DiskFile*> DiskLog::FileOf(uint64_t segment, bool create) {
  if (const auto it = open_.find(segment); it != open_.end()) return it->second.get();
  BATON_ASSIGN_OR_RETURN(std::unique_ptr<DiskFile> file, folder_->Open(NameOf(segment), create));
  if (open_.size() >= kMostOpenFiles) open_.erase(open_.begin());
  return (open_[segment] = std::move(file)).get();
}

absl::Status DiskLog::ReadSegment(uint64_t segment, RecoveredLog* log, std::vector<RecordName>* found) {
  BATON_ASSIGN_OR_RETURN(DiskFile* const file, FileOf(segment, false));
  BATON_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  std::vector<std::byte> head(space_.HeadBytes());
  for (uint32_t slot = 0; slot * space_.RecordBytes() < size; ++slot) {
    const DiskPlace place{segment, slot};
    BATON_ASSIGN_OR_RETURN(const size_t n, file->Read(slot * space_.RecordBytes(), absl::MakeSpan(head)));
    RecordName name;
    const bool whole = (slot + 1) * space_.RecordBytes() <= size;
    if (whole && DecodeHead(space_, place, absl::MakeConstSpan(head).first(n), &name, nullptr).ok()) {
      found->push_back(name);
    } else {
      ++log->refused;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<RecoveredLog> DiskLog::Recover(uint64_t max_segments) {
  BATON_ASSIGN_OR_RETURN(const std::vector<std::string> names, folder_->List());
  std::vector<uint64_t> segments;
  for (const std::string& name : names) {
    if (const auto segment = SegmentOf(name)) segments.push_back(*segment);
  }
  std::sort(segments.begin(), segments.end(), std::greater<>());
  RecoveredLog log;
  if (!segments.empty()) log.next_segment = segments.front() + 1;
  absl::flat_hash_map<BlockHash, RecordName> latest;
  for (const uint64_t segment : segments) {
    std::vector<RecordName> found;
    if (log.segments.size() < max_segments) BATON_RETURN_IF_ERROR(ReadSegment(segment, &log, &found));
    if (found.empty()) {
      BATON_RETURN_IF_ERROR(Drop(segment));
      continue;
    }
    log.segments.push_back(segment);
    for (const RecordName& name : found) {
      RecordName& kept = latest[name.key];
      if (kept.sequence < name.sequence) kept = name;
      log.next_sequence = std::max(log.next_sequence, name.sequence + 1);
    }
  }
  for (auto& [key, name] : latest) log.blocks.push_back(name);
  std::sort(log.blocks.begin(), log.blocks.end(),
            [](const RecordName& a, const RecordName& b) { return a.sequence < b.sequence; });
  return log;
}

absl::Status DiskLog::Write(const RecordName& name, absl::Span<const uint64_t> sums,
                            absl::Span<const std::byte> page) {
  if (page.size() != space_.data_bytes || sums.size() != space_.Units() || name.place.empty()) {
    return absl::InvalidArgumentError("a block of another size, or for no place");
  }
  BATON_ASSIGN_OR_RETURN(DiskFile* const file, FileOf(name.place.segment, true));
  const uint64_t begin = name.place.slot * space_.RecordBytes();
  BATON_RETURN_IF_ERROR(file->Write(begin + space_.HeadBytes(), page));
  return file->Write(begin, EncodeHead(space_, name, sums));
}

absl::Status DiskLog::Read(DiskPlace place, const BlockHash& key, absl::Span<std::byte> page,
                           std::vector<uint64_t>* sums) {
  auto file = FileOf(place.segment, false);
  if (absl::IsNotFound(file.status())) return absl::DataLossError(file.status().message());
  BATON_RETURN_IF_ERROR(file.status());
  const uint64_t begin = place.slot * space_.RecordBytes();
  std::vector<std::byte> head(space_.HeadBytes());
  BATON_ASSIGN_OR_RETURN(const size_t head_read, (*file)->Read(begin, absl::MakeSpan(head)));
  RecordName name;
  BATON_RETURN_IF_ERROR(DecodeHead(space_, place, absl::MakeConstSpan(head).first(head_read), &name, sums));
  if (name.key != key) return absl::DataLossError("the record is of another block");
  BATON_ASSIGN_OR_RETURN(const size_t data_read, (*file)->Read(begin + head.size(), page));
  if (data_read != page.size()) return absl::DataLossError("the record is cut off");
  if (SumUnits(page, space_.unit_bytes) != *sums) {
    return absl::DataLossError("the block's bytes do not match their checksums");
  }
  return absl::OkStatus();
}

absl::Status DiskLog::Seal(uint64_t segment) {
  BATON_ASSIGN_OR_RETURN(DiskFile* const file, FileOf(segment, true));
  BATON_RETURN_IF_ERROR(file->Sync());
  return folder_->Sync();
}

absl::Status DiskLog::Drop(uint64_t segment) {
  open_.erase(segment);
  return folder_->Remove(NameOf(segment));
}

}  // namespace baton::pool
