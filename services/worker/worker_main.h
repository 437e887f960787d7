#pragma once

// What baton-prefill and baton-decode do: settings in, a running process until a signal, an exit code out.

#include "services/worker/worker_settings.h"

namespace baton {

// 0 after a drain by SIGTERM or SIGINT, 1 with one line on stderr if it cannot start; a second signal ends
// the process with 130.
int RunWorker(WorkerRole role, const WorkerSettings& settings);

}  // namespace baton
