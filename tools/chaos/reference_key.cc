#include "tools/chaos/reference_key.h"

#include <sodium.h>

#include <array>
#include <fstream>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tools/load/request_body.h"
#include "tools/load/run_record.h"

namespace baton::chaos {
namespace {

constexpr size_t kReadAtOnce = 1 << 20;

class Digest {
 public:
  Digest() { crypto_generichash_init(&state_, nullptr, 0, crypto_generichash_BYTES); }
  void Add(absl::string_view text) {
    crypto_generichash_update(&state_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  }
  // A part whose end cannot be mistaken.
  void AddPart(absl::string_view text) {
    Add(absl::StrCat(text.size(), ":"));
    Add(text);
  }
  std::string Hex() {
    std::array<unsigned char, crypto_generichash_BYTES> hash;
    crypto_generichash_final(&state_, hash.data(), hash.size());
    return absl::BytesToHexString({reinterpret_cast<const char*>(hash.data()), hash.size()});
  }

 private:
  crypto_generichash_state state_;
};

}  // namespace

std::string DigestOf(absl::string_view text) {
  Digest digest;
  digest.Add(text);
  return digest.Hex();
}

absl::StatusOr<std::string> DigestOfFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  Digest digest;
  std::vector<char> buffer(kReadAtOnce);
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || file.gcount() > 0)
    digest.Add({buffer.data(), static_cast<size_t>(file.gcount())});
  if (file.bad()) return absl::UnavailableError(absl::StrCat("cannot read ", path));
  return digest.Hex();
}

absl::StatusOr<Origin> OriginOf(const Scenario& reference, const LocalPaths& paths) {
  Origin origin;
  BATON_ASSIGN_OR_RETURN(origin.model, DigestOfFile(ModelPath(reference.cluster.model, paths)));
  BATON_ASSIGN_OR_RETURN(origin.program, DigestOfFile(paths.bin_dir + "/baton-decode"));
  origin.machine = load::MachineName();
  return origin;
}

std::string ReferenceKey(const Origin& origin, const Scenario& reference, const load::LoadPlan& plan) {
  Digest digest;
  for (const std::string* part : {&origin.model, &origin.program, &origin.machine}) digest.AddPart(*part);
  digest.AddPart(absl::StrCat(reference.cluster.worker_flags.size()));
  for (const std::string& flag : reference.cluster.worker_flags) digest.AddPart(flag);
  load::RequestStyle style;
  style.api = load::Api::kCompletions;
  for (const load::PlannedRequest& request : plan.requests) {
    digest.AddPart(absl::StrCat(request.after));
    digest.AddPart(load::RequestBody(request, load::WithPrompt({}, request, style), style));
  }
  return digest.Hex();
}

}  // namespace baton::chaos
