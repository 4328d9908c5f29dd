"""Where bytes become a request, and answers become bytes. Sanitised here once; nothing behind it repairs anything."""
