-- Every request carries the next token of the file, none of them twice. A request too many has
-- none, is answered with 401, and so makes the round invalid.
local tokens = {}
for line in io.lines(os.getenv("TOKENS")) do
  tokens[#tokens + 1] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " .. line .. "\r\n\r\n"
end
local next_token = 0

function request()
  next_token = next_token + 1
  return tokens[next_token] or "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
end
