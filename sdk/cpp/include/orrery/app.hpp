#pragma once
// Orrery for C++ apps: call the mesh's processes, and host processes of your own. docs/sdk-protocol.md is what it
// speaks.
#include "orrery/app/client.hpp"
#include "orrery/app/client_process.hpp"
#include "orrery/app/context.hpp"
#include "orrery/app/documents.hpp"
#include "orrery/app/error.hpp"
#include "orrery/app/messages.hpp"
#include "orrery/app/metrics.hpp"
#include "orrery/app/process_class.hpp"
