// SPDX-License-Identifier: Apache-2.0
// attend: attention on the CPU and on Hopper GPUs. One include for C++.
#pragma once
#include <attend/array.hpp>
#include <attend/attention.hpp>
#include <attend/attention_bwd.hpp>
#include <attend/device.hpp>
#include <attend/dtype.hpp>
#include <attend/executor.hpp>
#include <attend/kv_append.hpp>
#include <attend/kv_cache.hpp>
#include <attend/kv_pages.hpp>
#include <attend/machine.hpp>
#include <attend/mask.hpp>
#include <attend/merge.hpp>
#include <attend/reference.hpp>
#include <attend/rope.hpp>
#include <attend/status.hpp>
#include <attend/tensor.hpp>
