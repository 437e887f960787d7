#include "tests/unit/services/kv_transfer/pool/faulty_folder.h"

#include <algorithm>
#include <cstring>
#include <set>

namespace baton::pool {

class FaultyFile final : public DiskFile {
 public:
  FaultyFile(FaultyDisk* disk, std::string name) : disk_(disk), name_(std::move(name)) {}

  absl::StatusOr<size_t> Read(uint64_t offset, absl::Span<std::byte> out) override {
    bool dies = false;
    if (absl::Status status = disk_->Begin(&dies); !status.ok()) return status;
    const auto& bytes = disk_->now_[name_];
    if (offset >= bytes.size()) return size_t{0};
    const size_t n = std::min({out.size(), bytes.size() - offset, disk_->most_read_});
    std::memcpy(out.data(), bytes.data() + offset, n);
    return n;
  }

  absl::Status Write(uint64_t offset, absl::Span<const std::byte> bytes) override {
    bool dies = false;
    if (absl::Status status = disk_->Begin(&dies); !status.ok() && !dies) return status;
    auto& file = disk_->now_[name_];
    const size_t n = dies ? disk_->random_() % (bytes.size() + 1) : bytes.size();
    if (file.size() < offset + n) file.resize(offset + n);
    std::memcpy(file.data() + offset, bytes.data(), n);
    return dies ? absl::UnavailableError("killed") : absl::OkStatus();
  }

  absl::Status Sync() override {
    bool dies = false;
    if (absl::Status status = disk_->Begin(&dies); !status.ok()) return status;
    disk_->durable_[name_] = disk_->now_[name_];
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Size() override {
    bool dies = false;
    if (absl::Status status = disk_->Begin(&dies); !status.ok()) return status;
    return disk_->now_[name_].size();
  }

 private:
  FaultyDisk* const disk_;
  const std::string name_;
};

class FaultyFolder final : public DiskFolder {
 public:
  explicit FaultyFolder(FaultyDisk* disk) : disk_(disk) {}

  absl::StatusOr<std::vector<std::string>> List() override {
    bool dies = false;
    if (absl::Status status = disk_->Begin(&dies); !status.ok()) return status;
    std::vector<std::string> names;
    for (const auto& [name, bytes] : disk_->now_) names.push_back(name);
    return names;
  }
  absl::StatusOr<std::unique_ptr<DiskFile>> Open(const std::string& name, bool create) override {
    bool dies = false;
    if (absl::Status status = disk_->Begin(&dies); !status.ok()) return status;
    if (!disk_->now_.contains(name)) {
      if (!create) return absl::NotFoundError(name);
      disk_->now_[name];
    }
    return std::make_unique<FaultyFile>(disk_, name);
  }
  absl::Status Remove(const std::string& name) override {
    bool dies = false;
    if (absl::Status status = disk_->Begin(&dies); !status.ok()) return status;
    disk_->now_.erase(name);
    return absl::OkStatus();
  }
  absl::Status Sync() override {
    bool dies = false;
    if (absl::Status status = disk_->Begin(&dies); !status.ok()) return status;
    disk_->named_ = disk_->now_;
    return absl::OkStatus();
  }

 private:
  FaultyDisk* const disk_;
};

std::unique_ptr<DiskFolder> FaultyDisk::Mount() {
  return std::make_unique<FaultyFolder>(this);
}

absl::Status FaultyDisk::Begin(bool* dies_in_it) {
  if (dead_) return absl::UnavailableError("the process is dead");
  if (!failure_.ok()) return failure_;
  if (left_.has_value() && (*left_)-- <= 0) {
    dead_ = *dies_in_it = true;
    return absl::UnavailableError("killed");
  }
  return absl::OkStatus();
}

// Sector by sector one or the other, and any length between.
void FaultyDisk::Blend(Bytes& sure, const Bytes& maybe) {
  const size_t length =
      Coin() ? std::max(sure.size(), maybe.size())
             : sure.size() + random_() % (std::max(sure.size(), maybe.size()) - sure.size() + 1);
  sure.resize(length);
  for (size_t at = 0; at < std::min(length, maybe.size()); at += kSector) {
    const size_t n = std::min({kSector, length - at, maybe.size() - at});
    if (Coin()) std::memcpy(sure.data() + at, maybe.data() + at, n);
  }
}

void FaultyDisk::Reboot() {
  if (how_ == Kill::kPower) {
    std::map<std::string, Bytes> after;
    std::set<std::string> names;
    for (const auto& [name, bytes] : now_) names.insert(name);
    for (const auto& [name, bytes] : named_) names.insert(name);
    for (const std::string& name : names) {
      const bool was = named_.contains(name), is = now_.contains(name);
      if ((was != is) && Coin()) continue;
      Bytes bytes = durable_.contains(name) ? durable_[name] : Bytes{};
      Blend(bytes, is ? now_[name] : named_[name]);
      after[name] = std::move(bytes);
    }
    now_ = std::move(after);
  }
  durable_ = named_ = now_;
  left_.reset();
  dead_ = false;
  failure_ = absl::OkStatus();
  most_read_ = SIZE_MAX;
}

}  // namespace baton::pool
