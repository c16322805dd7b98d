-- wrk: each request is another user's. Arguments: the path, a file with one
-- token a line. A path with PAGE in it is asked for pages 1 to 10, each by all
-- users before the next. Ends with one JSON line.
local requests = {}
local next_request = 0

function init(args)
  for page = 1, args[1]:find("PAGE") and 10 or 1 do
    local path = args[1]:gsub("PAGE", page)
    for token in io.lines(args[2]) do
      requests[#requests + 1] = wrk.format("GET", path, { ["Host"] = wrk.headers["Host"] or wrk.host,
                                                          ["Accept"] = "application/json",
                                                          ["Authorization"] = "Bearer " .. token })
    end
  end
end

function request()
  next_request = next_request % #requests + 1
  return requests[next_request]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format('{"requests":%d,"us":%d,"p50_us":%d,"p99_us":%d,"refused":%d,"broken":%d}\n',
                         summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
                         e.status, e.connect + e.read + e.write + e.timeout))
end
