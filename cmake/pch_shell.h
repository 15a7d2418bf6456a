// What a shell leans on besides: Asio's coroutines and JSON, both costly to parse.
#include "pch_core.h"

#include "base/json.h"
#include "io/asio.h"
