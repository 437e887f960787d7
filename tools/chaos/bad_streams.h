#pragma once

// Keeps what helps to find out why a stream went wrong.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tools/chaos/evidence.h"

namespace baton::chaos {

// At most 100 streams that parted from `reference` (by index; empty: none was made), ended in an error or
// never ended, one JSON object a line, those with wrong tokens first: the request as it was sent, a shell
// command that sends it again, its tokens and the reference's, where they part, the workers that served it
// one after the other, and the faults that began or lasted from 5 s before it was sent to 5 s after its end.
std::string BadStreams(const Evidence& evidence, const std::vector<StreamRecord>& reference);
// Writes them, if there are any.
absl::Status KeepBadStreams(const Evidence& evidence, const std::vector<StreamRecord>& reference,
                            const std::string& path);

}  // namespace baton::chaos
