-- Asks for random lines of the file KEYS under the prefix PREFIX, and prints
-- how many requests were answered and how many of them not with 2xx.
local keys = {}
for line in io.lines(os.getenv("KEYS")) do keys[#keys + 1] = line end
local prefix = os.getenv("PREFIX")
-- Somebody who is signed in, where it says who.
if os.getenv("COOKIE") then wrk.headers["Cookie"] = os.getenv("COOKIE") end
math.randomseed(1)
request = function() return wrk.format("GET", prefix .. keys[math.random(#keys)]) end
done = function(summary, latency)
  local broken = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format("LOAD %d %d %d %.6f %d\n", summary.requests, summary.errors.status, broken,
    summary.duration / 1e6, latency:percentile(99)))
end
