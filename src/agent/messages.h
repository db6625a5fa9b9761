/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * MESSAGE_ID= of what an operator would alert on. They never change: rules
 * outside refer to them. Listed for people in molecule-agentd(8).
 */

#define MESSAGE_ONLINE "87a0931c68414d0e917a9369993ff358"
#define MESSAGE_DEGRADED "d07773308d3f46d49b5ae63f3a22aa69"
#define MESSAGE_PAUSED "0f40c78e49234364b19f88480cff75bd"
#define MESSAGE_UNREACHABLE "162f172577f94b1f882ab370b5acf124"
#define MESSAGE_MISROUTED "2167124eb5d8476a81b294a7ca3d4c48"
#define MESSAGE_AUTH_LOST "f8bb3165b898421e9f2c15c47091057c"
#define MESSAGE_REMOVED "6c4dc95568a441c78aa93e92c1ac5020"
#define MESSAGE_TOKEN_CHANGED "b81adba174b84e4c9eccc359f230cd6d"
#define MESSAGE_TOKEN_NOT_SAVED "986814ae31174a25a82305614e287a44"
#define MESSAGE_WARNING "76b9e871d843498a8f8af37a489b359b"
