#include "services/kv_transfer/pool/disk/record.h"

#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/block_hash.h"
#include "common/checksum.h"

namespace baton::pool {
namespace {

static_assert(std::endian::native == std::endian::little, "records are written as they are in memory");

constexpr uint64_t kMagic = 0x314B4C424E544142;  // "BATNBLK1"
constexpr uint32_t kVersion = 1;

struct Header {
  uint64_t magic;
  uint32_t version, units;
  Id128 pool, space, key, parent;
  uint64_t segment, slot, sequence, data_bytes;
  uint64_t sums_checksum;
  uint64_t header_checksum;  // of all before it
};
static_assert(sizeof(Header) == 128);

absl::Span<const std::byte> BytesOf(const Header& header) {
  return {reinterpret_cast<const std::byte*>(&header), offsetof(Header, header_checksum)};
}

absl::Status Bad(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("not a record of ours: ", what));
}

}  // namespace

size_t DiskSpace::HeadBytes() const {
  return sizeof(Header) + Units() * sizeof(uint64_t);
}

uint64_t DiskSpace::RecordBytes() const {
  return HeadBytes() + data_bytes;
}

DiskSpace MakeDiskSpace(const Id128& pool, const std::string& fingerprint, const KvLayout& layout) {
  const std::string shape =
      absl::StrCat(fingerprint, "|", layout.layers, "|", layout.kv_heads, "|", layout.head_dim, "|",
                   static_cast<int>(layout.dtype), "|", layout.atoms_per_page);
  return {.pool = pool,
          .space = RootBlockHash(shape, Id128{}),
          .data_bytes = layout.PageBytes(),
          .unit_bytes = static_cast<uint32_t>(layout.UnitBytes())};
}

std::vector<std::byte> EncodeHead(const DiskSpace& space, const RecordName& name,
                                  absl::Span<const uint64_t> sums) {
  std::vector<std::byte> head(space.HeadBytes());
  std::memcpy(head.data() + sizeof(Header), sums.data(), sums.size() * sizeof(uint64_t));
  Header header{.magic = kMagic,
                .version = kVersion,
                .units = space.Units(),
                .pool = space.pool,
                .space = space.space,
                .key = name.key,
                .parent = name.parent,
                .segment = name.place.segment,
                .slot = name.place.slot,
                .sequence = name.sequence,
                .data_bytes = space.data_bytes,
                .sums_checksum = Checksum64(absl::MakeConstSpan(head).subspan(sizeof(Header))),
                .header_checksum = 0};
  header.header_checksum = Checksum64(BytesOf(header));
  std::memcpy(head.data(), &header, sizeof(header));
  return head;
}

absl::Status DecodeHead(const DiskSpace& space, DiskPlace place, absl::Span<const std::byte> head,
                        RecordName* name, std::vector<uint64_t>* sums) {
  if (head.size() != space.HeadBytes()) return Bad("cut off");
  Header header;
  std::memcpy(&header, head.data(), sizeof(header));
  if (header.magic != kMagic || header.version != kVersion) return Bad("magic or version");
  if (header.header_checksum != Checksum64(BytesOf(header))) return Bad("torn header");
  if (header.pool != space.pool) return Bad("of another pool");
  if (header.space != space.space) return Bad("of another model, kernel build or layout");
  if (header.units != space.Units() || header.data_bytes != space.data_bytes) return Bad("another size");
  if (header.segment != place.segment || header.slot != place.slot) return Bad("of another place");
  if (header.sums_checksum != Checksum64(head.subspan(sizeof(Header)))) return Bad("torn checksums");
  *name = {.key = header.key, .parent = header.parent, .sequence = header.sequence, .place = place};
  if (sums != nullptr) {
    sums->resize(space.Units());
    std::memcpy(sums->data(), head.data() + sizeof(Header), sums->size() * sizeof(uint64_t));
  }
  return absl::OkStatus();
}

std::vector<uint64_t> SumUnits(absl::Span<const std::byte> page, size_t unit_bytes) {
  std::vector<uint64_t> sums;
  sums.reserve(page.size() / unit_bytes);
  for (size_t at = 0; at + unit_bytes <= page.size(); at += unit_bytes)
    sums.push_back(Checksum64(page.subspan(at, unit_bytes)));
  return sums;
}

}  // namespace baton::pool
