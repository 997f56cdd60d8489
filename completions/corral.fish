# fish completion for corral. `corral __complete` knows what there is; this asks it.
function __corral_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l lines ($words[1] __complete $words[2..-1] "$word" 2>/dev/null)
    set -q lines[2]; and printf '%s\n' $lines[2..-1]
    switch "$lines[1]"
        case dirs
            __fish_complete_directories "$word"
        case files
            __fish_complete_path "$word"
        case commands
            __fish_complete_command
    end
end
complete -c corral -f -a '(__corral_complete)'
