"use strict";
// The real package downloads a binary when it is installed. matrix-bot-sdk only needs the name to exist as long as
// nobody turns encryption on.
module.exports = {};
