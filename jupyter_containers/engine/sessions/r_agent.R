# The R agent of a session: runs cells in the global environment, base R only. @MARK@ is replaced
# before it is sent; `input` (the connection that requests are read from) is set before it.
# Protocol: docs/extensions/session-protocol.md ("marked").
local({
  mark <- "\036@MARK@"
  self <- environment()
  count <- 0L
  shown_rows <- 60L

  # -- JSON -------------------------------------------------------------------------------------

  quoted <- function(text) {
    text <- enc2utf8(as.character(text))
    for (pair in list(c("\\", "\\\\"), c("\"", "\\\""), c("\n", "\\n"), c("\r", "\\r"), c("\t", "\\t")))
      text <- gsub(pair[1], pair[2], text, fixed = TRUE)
    odd <- grepl("[\001-\037\177]", text, useBytes = TRUE)
    for (code in if (any(odd)) 1:31) text[odd] <- gsub(intToUtf8(code), sprintf("\\u%04x", code), text[odd], fixed = TRUE)
    paste0("\"", text, "\"")
  }

  scalars <- function(x) {
    text <- if (is.logical(x)) ifelse(x, "true", "false")
    else if (is.integer(x)) as.character(x)
    else if (is.numeric(x)) ifelse(is.finite(x), sprintf("%.17g", x), "null")
    else if (is.character(x)) quoted(x)
    else stop("cannot return a value of class ", class(x)[1], call. = FALSE)
    text[is.na(x)] <- "null"
    text
  }

  json <- function(x, whole = TRUE) {
    if (is.null(x)) return("null")
    if (is.factor(x)) x <- setNames(as.character(x), names(x))
    if (inherits(x, "Date")) x <- setNames(format(x), names(x))
    if (inherits(x, "POSIXt")) x <- setNames(format(x, "%Y-%m-%dT%H:%M:%OS6Z", tz = "UTC"), names(x))
    names <- names(x)
    if (is.list(x)) items <- vapply(unclass(x), json, "")
    else if (length(dim(x)) == 2) return(json(unname(lapply(seq_len(nrow(x)), function(i) I(as.vector(x[i, ]))))))
    else items <- scalars(unclass(x))
    if (!is.null(names) && !length(items)) return("{}")
    if (!is.null(names)) return(paste0("{", paste0(quoted(names), ":", items, collapse = ","), "}"))
    if (!is.list(x) && length(items) == 1 && !inherits(x, "AsIs")) return(unname(items))
    paste0("[", paste0(items, collapse = ","), "]")
  }

  base64 <- function(bytes) {
    pad <- (3L - length(bytes) %% 3L) %% 3L
    m <- matrix(as.integer(c(bytes, raw(pad))), 3L)
    six <- rbind(m[1, ] %/% 4L, m[1, ] %% 4L * 16L + m[2, ] %/% 16L, m[2, ] %% 16L * 4L + m[3, ] %/% 64L, m[3, ] %% 64L)
    text <- c(LETTERS, letters, 0:9, "+", "/")[six + 1L]
    if (pad) text[length(text) + 1L - seq_len(pad)] <- "="
    paste(text, collapse = "")
  }

  # -- messages ---------------------------------------------------------------------------------

  put <- function(..., file = stdout()) cat(..., sep = "", file = file)

  send <- function(type, ..., body = NULL) {
    fields <- list(type = type, ...)
    if (!is.null(body)) fields$body <- TRUE
    put(mark, json(fields), "\n")
    if (!is.null(body)) put(body, mark, "{\"type\":\"end\"}\n")
  }

  done <- function(number, status = 0L) {
    while (sink.number()) sink()
    send("done", status = status, count = count, number = number)
    put(mark, json(list(type = "sync", number = number)), "\n", file = stderr())
  }

  read_message <- function() {
    line <- readLines(input, 1L, warn = FALSE)
    if (!length(line)) {
      tools::pskill(1L, tools::SIGTERM) # ends the container, if this user may
      quit("no", runLast = FALSE)
    }
    sizes <- as.integer(strsplit(line, " ")[[1]])
    text <- readBin(input, "raw", sizes[1])
    message <- eval(parse(text = text_of(text), keep.source = FALSE), baseenv())
    message$body <- if (sizes[2]) readBin(input, "raw", sizes[2]) else raw()
    message
  }

  text_of <- function(bytes) {
    text <- rawToChar(bytes)
    Encoding(text) <- "UTF-8"
    text
  }

  # -- displays ---------------------------------------------------------------------------------

  escaped <- function(text) {
    for (pair in list(c("&", "&amp;"), c("<", "&lt;"), c(">", "&gt;"))) text <- gsub(pair[1], pair[2], text, fixed = TRUE)
    text
  }

  html_table <- function(frame) {
    rows <- nrow(frame)
    kept <- if (rows > shown_rows) c(seq_len(shown_rows / 2L), rows - rev(seq_len(shown_rows / 2L)) + 1L) else seq_len(rows)
    part <- frame[kept, , drop = FALSE]
    cells <- vapply(part, function(column) escaped(if (is.list(column)) vapply(column, function(x) paste(format(x), collapse = ", "), "") else format(column)), character(length(kept)))
    cells <- matrix(cells, length(kept))
    lines <- sprintf("<tr><th>%s</th>%s</tr>", escaped(row.names(part)), apply(cells, 1, function(row) paste0("<td>", row, "</td>", collapse = "")))
    if (rows > shown_rows) lines <- append(lines, sprintf("<tr><th>\u22ee</th>%s</tr>", strrep("<td>\u22ee</td>", ncol(frame))), shown_rows / 2L)
    if (!length(kept)) lines <- character()
    head <- paste0("<th>", escaped(names(frame)), "</th>", collapse = "")
    paste0("<table border=\"1\" class=\"dataframe\"><thead><tr><th></th>", head, "</tr></thead><tbody>", paste(lines, collapse = ""), "</tbody></table><p>", rows, " rows \u00d7 ", ncol(frame), " columns</p>")
  }

  bundle <- function(value) {
    text <- paste(utils::capture.output(if (isS4(value)) methods::show(value) else print(value)), collapse = "\n")
    data <- if (nzchar(text)) list("text/plain" = text) else list() # a plot prints nothing
    if (is.data.frame(value) && ncol(value)) data[["text/html"]] <- html_table(as.data.frame(value))
    data
  }

  publish <- function(data, type = "display", ...) {
    if (length(data)) send(type, data = data, metadata = setNames(list(), character()), ...)
    invisible()
  }

  plots <- function() file.path(tempdir(), "session-plot-%03d.png")

  new_device <- function(...) {
    type <- if (capabilities("cairo")) "cairo" else getOption("bitmapType")
    grDevices::png(plots(), width = 1400, height = 1000, res = 200, type = type)
  }

  show_plots <- function() {
    while (grDevices::dev.cur() > 1) grDevices::dev.off()
    for (file in sort(Sys.glob(file.path(tempdir(), "session-plot-*.png")))) {
      bytes <- readBin(file, "raw", file.size(file))
      unlink(file)
      if (length(bytes)) publish(list("image/png" = base64(bytes), "text/plain" = "<plot>"))
    }
  }

  # -- cells ------------------------------------------------------------------------------------

  place <- function(reference) {
    file <- attr(reference, "srcfile")$filename
    if (is.null(file) || !startsWith(file, "<")) "" else paste0(" at ", file, ":", reference[1])
  }

  # The call of a condition, NULL if it is this file's.
  own_call <- function(condition) {
    call <- conditionCall(condition)
    if (is.null(call) || deparse(call[[1]])[1] %in% c("eval", "parse", "withVisible", "doTryCatch")) NULL else call
  }

  report <- function(error, calls, reference) {
    own <- vapply(calls, function(call) {
      reference <- attr(call, "srcref")
      if (is.null(reference) || !nzchar(place(reference))) "" else paste0(deparse(call, nlines = 1L)[1], place(reference))
    }, "")
    head <- own_call(error)
    first <- paste0("Error", if (!is.null(head)) paste0(" in ", deparse(head, nlines = 1L)[1]), ":", place(reference))
    if (is.null(head)) first <- paste0("Error:", place(reference))
    lines <- c(first, strsplit(conditionMessage(error), "\n")[[1]], if (any(nzchar(own))) c("Traceback:", paste0("  ", own[nzchar(own)])))
    send("error", name = class(error)[1], value = conditionMessage(error), traceback = I(as.list(lines)))
  }

  warned <- function(condition) {
    head <- own_call(condition)
    put("Warning message:\n", if (!is.null(head)) paste0("In ", deparse(head, nlines = 1L)[1], " :\n  "), conditionMessage(condition), "\n", file = stderr())
    tryInvokeRestart("muffleWarning")
  }

  do_run <- function(message) {
    count <<- count + 1L
    lines <- strsplit(message$code, "\n", fixed = TRUE)[[1]]
    source <- srcfilecopy(message$name, lines)
    reference <- NULL
    calls <- list()
    tryCatch(withCallingHandlers({
      parts <- parse(text = message$code, keep.source = TRUE, srcfile = source)
      for (i in seq_along(parts)) {
        reference <- attr(parts, "srcref")[[i]]
        result <- withVisible(eval(parts[[i]], globalenv()))
        if (!result$visible) next
        assign(".Last.value", result$value, envir = globalenv())
        if (i < length(parts)) publish(bundle(result$value)) else publish(bundle(result$value), "result", count = count)
      }
    }, warning = warned, error = function(e) {
      found <- sys.calls()
      calls <<- found[seq_len(max(0L, length(found) - 2L))]
    }), error = function(e) report(e, calls, reference), interrupt = function(e) {
      send("error", name = "Interrupted", value = "the cell was interrupted", traceback = I(list(paste0("Interrupted", if (!is.null(reference)) place(reference)))))
    }, finally = {
      while (sink.number()) sink()
      show_plots()
    })
  }

  # -- values -----------------------------------------------------------------------------------

  typed <- function(column, type) {
    if (grepl("^datetime", type)) return(as.POSIXct(column, tz = "UTC", tryFormats = c("%Y-%m-%d %H:%M:%OS", "%Y-%m-%dT%H:%M:%OS", "%Y-%m-%d")))
    switch(type, bool = , boolean = as.logical(column), category = factor(column), date = as.Date(column),
      object = , string = , str = as.character(column),
      if (grepl("int", type, ignore.case = TRUE)) whole(as.numeric(column)) else if (grepl("float", type, ignore.case = TRUE)) as.numeric(column) else utils::type.convert(column, as.is = TRUE))
  }

  whole <- function(x) if (all(is.na(x) | abs(x) < 2^31)) as.integer(x) else x

  do_push <- function(message) {
    value <- switch(message$form,
      value = message$value,
      text = text_of(message$body),
      bytes = message$body,
      table = {
        lines <- textConnection(text_of(message$body), encoding = "UTF-8")
        on.exit(close(lines))
        table <- utils::read.csv(lines, colClasses = "character", na.strings = "", check.names = FALSE, encoding = "UTF-8")
        for (i in seq_along(table)) {
          type <- message$dtypes[[names(table)[i]]]
          table[[i]] <- typed(table[[i]], if (is.null(type)) "" else type)
        }
        if (message$index == 1L) table <- structure(table[-1], row.names = make.unique(as.character(table[[1]])))
        if (message$series) table[[ncol(table)]] else table
      })
    assign(message$name, value, envir = globalenv())
  }

  dtype <- function(column) {
    if (inherits(column, "Date")) "date" else if (inherits(column, "POSIXt")) "datetime64[ns]"
    else if (is.factor(column)) "category" else if (is.logical(column)) (if (anyNA(column)) "boolean" else "bool")
    else if (is.integer(column)) (if (anyNA(column)) "Int64" else "int64") else if (is.numeric(column)) "float64" else "object"
  }

  do_pull <- function(message) {
    if (!exists(message$name, envir = globalenv())) stop(message$name, " is not defined", call. = FALSE)
    value <- get(message$name, envir = globalenv())
    if (!is.data.frame(value)) return(send("value", file = "value.json", body = json(value)))
    types <- lapply(value, dtype)
    labelled <- is.character(attr(value, "row.names"))
    for (i in seq_along(value)) {
      column <- value[[i]]
      value[[i]] <- if (inherits(column, "POSIXt")) format(column, "%Y-%m-%d %H:%M:%OS6", tz = "UTC")
      else if (is.double(column) && is.null(attr(column, "class"))) ifelse(is.na(column), NA, sprintf("%.17g", column)) else as.character(column)
    }
    if (labelled) value <- cbind(data.frame(" " = row.names(value), check.names = FALSE), value)
    lines <- textConnection("written", "w", local = TRUE, encoding = "UTF-8")
    utils::write.csv(value, lines, na = "", row.names = FALSE)
    close(lines)
    hints <- list(kind = "frame", index = as.integer(labelled), dtypes = if (length(types)) types else setNames(list(), character()))
    send("value", file = "value.csv", hints = hints, body = paste0(paste(enc2utf8(written), collapse = "\n"), "\n"))
  }

  word_before <- function(code) regmatches(code, regexpr("[[:alnum:]_.$@:]*$", code))

  do_complete <- function(message) {
    before <- enc2utf8(substr(message$code, 1L, message$position))
    tools <- asNamespace("utils")
    tools$.assignLinebuffer(sub(".*\n", "", before))
    tools$.assignEnd(nchar(sub(".*\n", "", before)))
    token <- tools$.guessTokenFromLine()
    tools$.completeToken()
    found <- tools$.retrieveCompletions()
    send("completions", matches = I(as.list(utils::head(found, 500L))), start = message$position - nchar(token))
  }

  do_inspect <- function(message) {
    rest <- substring(message$code, message$position + 1L)
    name <- paste0(word_before(substr(message$code, 1L, message$position)), regmatches(rest, regexpr("^[[:alnum:]_.]*", rest)))
    text <- tryCatch({
      value <- eval(parse(text = name, keep.source = FALSE)[[1]], globalenv())
      if (is.function(value) && identical(message$detail, 1L)) paste(utils::capture.output(print(value)), collapse = "\n")
      else if (is.function(value)) sub("^function", name, paste(utils::head(deparse(args(value)), -1L), collapse = "\n"))
      else paste(c(paste0(name, ": ", class(value)[1]), utils::capture.output(utils::str(value))), collapse = "\n")
    }, error = function(e) "")
    send("inspection", text = text)
  }

  # -- what cells call --------------------------------------------------------------------------

  ask <- function(prompt = "", hidden = FALSE) {
    send("input_request", prompt = prompt, password = hidden)
    reply <- read_message()$text
    if (is.null(reply)) stop("this session has no input", call. = FALSE)
    reply
  }

  tools <- new.env()
  tools$readline <- function(prompt = "") ask(prompt)
  tools$display <- function(value) publish(bundle(value))
  tools$display_mime <- function(data) publish(as.list(data))
  tools$clear_output <- function(wait = FALSE) send("clear", wait = wait)
  tools$quit <- tools$q <- function(...) stop("a session ends with stop", call. = FALSE)
  for (name in ls(tools)) environment(tools[[name]]) <- self
  attach(tools, name = "tools:session", warn.conflicts = FALSE)

  Sys.setlocale("LC_CTYPE", "C.UTF-8")
  options(device = new_device, keep.source = TRUE, warn = 1L, browser = "false", pager = "cat", width = 100L, error = NULL)
  send("ready", language = "r", version = paste(R.version$major, R.version$minor, sep = "."), pid = Sys.getpid())

  repeat tryCatch({
    message <- read_message()
    status <- "ok"
    tryCatch(get(paste0("do_", message$type))(message), error = function(e) report(e, list(), NULL),
      interrupt = function(e) send("error", name = "Interrupted", value = "interrupted"))
    done(message$number)
  }, interrupt = function(e) NULL)
})
